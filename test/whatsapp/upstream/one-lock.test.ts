import { expect, test } from 'bun:test'
import { lockedByPerson, sessionName } from '../../../src/whatsapp/baileys/upstream/one-lock'
import { quietLibsignal } from '../../../src/whatsapp/baileys/upstream/quiet-libsignal'
import { person, type Sealed } from '../support/signal-pair'

const ROUNDS = 12
const NUMBER = '4915112345678@s.whatsapp.net'

/** We write to a number while its messages come under the LID; how many of ours can be read. */
async function readable(repaired: boolean): Promise<number> {
  const quiet = quietLibsignal()
  const [us, other] = [person('1@lid'), person('2@lid')]
  await us.repository.lidMapping.storeLIDPNMappings([{ pn: NUMBER, lid: other.jid }])
  await other.begin(us)
  await us.hear(other, await other.say(us, 'hello'))
  await other.hear(us, await us.say(other, 'hello'))
  const repository = repaired ? lockedByPerson(us.repository) : us.repository
  const said: Sealed[] = []
  for (let n = 0; n < ROUNDS; n++) {
    const incoming = await other.say(us, `${n}`)
    const [sealed] = await Promise.all([
      repository.encryptMessage({ jid: NUMBER, data: Buffer.from(`${n}`) }),
      us.hear(other, incoming),
    ])
    said.push(sealed)
  }
  let count = 0
  for (const sealed of said) {
    count += await other.hear(us, sealed).then(
      () => 1,
      () => 0,
    )
  }
  quiet.undo()
  return count
}

test('upstream: writing to a number and reading from its LID at once breaks the session', async () => {
  expect(await readable(false)).toBeLessThan(ROUNDS)
})

test('a session is guarded by one name', async () => {
  expect(await readable(true)).toBe(ROUNDS)
})

test('the name is the LID where it is known, without the device 0', async () => {
  const { repository } = person('1@lid')
  await repository.lidMapping.storeLIDPNMappings([{ pn: NUMBER, lid: '2@lid' }])
  const names = [NUMBER, '4915112345678:3@s.whatsapp.net', '2:0@lid', '2:3@lid', '49@s.whatsapp.net']
  expect(await Promise.all(names.map((jid) => sessionName(repository, jid)))).toEqual([
    '2@lid',
    '2:3@lid',
    '2@lid',
    '2:3@lid',
    '49@s.whatsapp.net',
  ])
})
