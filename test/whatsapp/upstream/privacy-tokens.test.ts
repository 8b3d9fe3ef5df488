import { describe, expect, test } from 'bun:test'
import { keepPrivacyTokens } from '../../../src/whatsapp/baileys/upstream/privacy-tokens'
import { memoryKeys } from '../support/memory-keys'

const NOTE = { token: Buffer.alloc(0), senderTimestamp: 1 }

/** Notes a token in the background of a transaction, after it has ended, as `relayMessage` does; tells what is stored. */
async function notedAfterwards(repaired: boolean) {
  const keys = memoryKeys(() => undefined)
  if (repaired) keepPrivacyTokens(keys)
  const ended = Promise.withResolvers<void>()
  let background: Promise<void> = Promise.resolve()
  await keys.transaction(async () => {
    await keys.get('tctoken', ['1@lid'])
    background = ended.promise.then(async () => {
      await keys.set({ tctoken: { '1@lid': NOTE } })
    })
  }, 'me')
  ended.resolve()
  await background
  return (await keys.get('tctoken', ['1@lid']))['1@lid']
}

describe('privacy tokens', () => {
  test('upstream: a note made after the transaction is lost, so the server is asked with every message', async () => {
    expect(await notedAfterwards(false)).toBeUndefined()
  })

  test('the note is stored', async () => {
    expect(await notedAfterwards(true)).toMatchObject({ senderTimestamp: 1 })
  })

  test('within a transaction a token is stored at once, and other keys with the transaction', async () => {
    const written: string[][] = []
    const keys = memoryKeys((data) => written.push(Object.keys(data)))
    keepPrivacyTokens(keys)
    await keys.transaction(async () => {
      await keys.set({ tctoken: { '1@lid': NOTE }, session: { '1.0': new Uint8Array([1]) } })
      expect(written).toEqual([['tctoken']])
    }, 'me')
    expect(written).toEqual([['tctoken'], ['session']])
  })
})
