/** Texts of a form become the values of the schema; what does not fit is left for the schema to name. */
import { expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { AppError } from '../../src/domain/errors'
import { checker } from '../../src/http/checked'
import { formBody } from '../../src/http/form-fields'
import { sendBody } from '../../src/http/send-fields'

const body = (fields: Record<string, string | string[]>, schema = sendBody('image')) =>
  formBody(new Map(Object.entries(fields).map(([name, value]) => [name, [value].flat()])), schema)

test('numbers, booleans, lists and objects', () => {
  expect(
    body({
      sessionId: '1',
      caption: '5',
      viewOnce: 'true',
      ttl: '60',
      mentions: ['1', '2'],
      variables: '{"name":"Ada","n":3}',
      queue: 'false',
    }),
  ).toEqual({
    sessionId: '1',
    caption: '5',
    viewOnce: true,
    ttl: 60,
    mentions: ['1', '2'],
    variables: { name: 'Ada', n: 3 },
    queue: false,
  })
  expect(body({ mentions: '["1","2"]' })).toEqual({ mentions: ['1', '2'] })
  expect(body({ mentions: '491701234567' })).toEqual({ mentions: ['491701234567'] })
})

test('a choice of kinds takes the one that fits', () => {
  const schema = Type.Object({
    of: Type.Union([Type.Boolean(), Type.Object({ a: Type.Number() }), Type.Null()]),
  })
  expect(body({ of: 'true' }, schema)).toEqual({ of: true })
  expect(body({ of: '{"a":1}' }, schema)).toEqual({ of: { a: 1 } })
  expect(body({ of: 'x' }, schema)).toEqual({ of: 'x' })
})

test.each([
  ['viewOnce', 'yes'],
  ['ttl', '0x10'],
  ['ttl', '1e3'],
  ['ttl', ''],
  ['unknown', 'x'],
  ['__proto__', '{"a":1}'],
  ['variables', 'name=Ada'],
])('%s: %s is named by the schema', (name, text) => {
  const fields = { sessionId: 's', to: '1234567', uploadId: 'u', [name]: text }
  expect(() => checker(sendBody('image'))(body(fields))).toThrow(AppError)
  // Control: without it the same body is good.
  const { [name]: _, ...good } = fields
  expect(() => checker(sendBody('image'))(body(good))).not.toThrow()
})

test('a field twice, and JSON that is none', () => {
  expect(() => body({ caption: ['a', 'b'] })).toThrow('not valid')
  expect(() => body({ variables: '{"a":' })).toThrow('not valid')
  expect(() => body({ variables: '{"a":1,"a":2}' })).toThrow('not valid')
})
