import { describe, expect, test } from 'bun:test'
import { asJid } from '../../src/domain/ids'
import type { Connection, NumberLookup } from '../../src/domain/whatsapp'
import { createNumberCache, createNumberCheck } from '../../src/sessions/number-check'
import { variantsOf } from '../../src/sessions/number-variants'
import { createManualClock } from '../harness/clock'

describe('forms of a number', () => {
  test.each([
    ['Brazil, with the ninth digit', '5511987654321', '551187654321'],
    ['Brazil, without it', '551187654321', '5511987654321'],
    ['Mexico, with the 1', '5215512345678', '525512345678'],
    ['Mexico, without it', '525512345678', '5215512345678'],
    ['Argentina, with the 9', '5491123456789', '541123456789'],
    ['Argentina, without it', '541123456789', '5491123456789'],
  ])('%s', (_, number, other) => {
    expect(variantsOf(number)).toEqual([number, other])
  })

  test.each([
    ['a landline of Brazil', '551133334444'],
    ['a long number of Brazil that is no mobile', '5511933334444'],
    ['Germany', '4915112345678'],
    ['a number that only begins alike', '5511'],
    ['the United States', '15551234567'],
  ])('%s has one', (_, number) => {
    expect(variantsOf(number)).toEqual([number])
  })
})

/** A WhatsApp that knows these numbers, each under the form in which it was registered. */
function register(registered: readonly string[]) {
  const questions: string[][] = []
  const lookUp = async (asked: readonly string[]): Promise<NumberLookup[]> => {
    questions.push([...asked])
    return asked.map((phoneNumber) => ({
      phoneNumber,
      exists: registered.includes(phoneNumber),
      lid: registered.includes(phoneNumber) ? asJid(`${phoneNumber}0@lid`) : null,
    }))
  }
  return { connection: { lookUp } as Pick<Connection, 'lookUp'> as Connection, questions }
}
const checker = () => {
  const clock = createManualClock()
  const cache = createNumberCache(clock)
  return { cache, clock, numbers: createNumberCheck(cache) }
}

describe('asked', () => {
  test.each(['5511987654321', '551187654321'])(
    '%s: the form that WhatsApp knows, in one question, remembered for both',
    async (asked) => {
      const { connection, questions } = register(['551187654321'])
      const { numbers } = checker()
      const known = { phoneNumber: '551187654321', exists: true }
      expect(await numbers.check(connection, asked)).toMatchObject(known)
      expect(questions).toHaveLength(1)
      expect(questions[0]?.toSorted()).toEqual(['5511987654321', '551187654321'].toSorted())
      expect(await numbers.check(connection, '5511987654321')).toMatchObject(known)
      expect(await numbers.check(connection, '551187654321')).toMatchObject(known)
      expect(questions).toHaveLength(1)
    },
  )

  test('both forms are registered: each is itself', async () => {
    const { connection } = register(['525512345678', '5215512345678'])
    const { numbers } = checker()
    for (const phoneNumber of ['525512345678', '5215512345678'])
      expect(await numbers.check(connection, phoneNumber)).toMatchObject({ phoneNumber, exists: true })
  })

  test('neither is: missing, for an hour', async () => {
    const { connection, questions } = register([])
    const { numbers, clock } = checker()
    expect(await numbers.check(connection, '5511987654321')).toMatchObject({ exists: false })
    await numbers.check(connection, '551187654321')
    expect(questions).toHaveLength(1)
    await clock.advance(3_600_001)
    await numbers.check(connection, '551187654321')
    expect(questions).toHaveLength(2)
  })

  test('many: few questions, nobody twice', async () => {
    const all = Array.from({ length: 450 }, (_, index) => String(49_170_000_000 + index))
    const { connection, questions } = register(all)
    const { numbers } = checker()
    await Promise.all([numbers.checkAll(connection, [...all, ...all]), numbers.checkAll(connection, all)])
    expect(questions.map(({ length }) => length)).toEqual([200, 200, 50])
    expect(await numbers.check(connection, all[7] ?? '')).toMatchObject({ exists: true })
    await numbers.checkAll(connection, all)
    expect(questions).toHaveLength(3)
  })

  test('a question that fails leaves nothing behind', async () => {
    const { numbers } = checker()
    const broken = {
      lookUp: () => Promise.reject(new Error('timed out')),
    } as Partial<Connection> as Connection
    await numbers.checkAll(broken, ['4915112345678'])
    expect(await numbers.check(broken, '4915112345678')).toBeNull()
    const { connection } = register(['4915112345678'])
    expect(await numbers.check(connection, '4915112345678')).toMatchObject({ exists: true })
  })
})
