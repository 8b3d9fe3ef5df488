/** The hard inputs, all of them: over HTTP and raw sockets against a real server, and where WhatsApp’s wire is tried. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { changed } from '../crash/guards'
import { ACCESS_ROWS } from './hard-input/access'
import { HARD_GUARDS } from './hard-input/guards'
import { JSON_ROWS } from './hard-input/json'
import { MESSAGE_ROWS } from './hard-input/messages'
import { type HardRig, startHardRig } from './hard-input/rig'
import { type HardRow, ROWS } from './hard-input/row'
import { STATE_ROWS } from './hard-input/state'
import { URL_ROWS } from './hard-input/urls'
import { WHATSAPP_ROWS } from './hard-input/whatsapp'
import { WIRE_ROWS } from './hard-input/wire'

let rig: HardRig
beforeAll(async () => {
  rig = await startHardRig()
})
afterAll(() => rig.stop())

const TABLES: Record<string, readonly HardRow[]> = {
  'X1 JSON and schemas': JSON_ROWS,
  'X2 URLs': URL_ROWS,
  'X3 access and accounts': ACCESS_ROWS,
  'X4 resources, states, ids': STATE_ROWS,
  'X5 messages': MESSAGE_ROWS,
  'X6 bytes': WIRE_ROWS,
  'X6 WhatsApp’s wire': WHATSAPP_ROWS,
}

describe.each(Object.entries(TABLES))('%s', (_, rows) => {
  test.each(rows.flatMap((each) => ('holds' in each ? [[each.row, each.says, each] as const] : [])))(
    '%d %s',
    async (_, __, { holds }) => {
      await holds(rig)
      expect(rig.app.lines.filter((line) => line.includes('not in the catalogue'))).toEqual([])
    },
  )
})

describe('the list', () => {
  const rows = Object.values(TABLES).flat()

  test('every number is in one table, and in no other', () => {
    expect(rows.map(({ row }) => row)).toEqual([...ROWS])
  })

  test('what is proved elsewhere is a test that exists', () => {
    const missing = rows.flatMap((each) => ('proof' in each && !names(each.proof) ? [each.proof] : []))
    expect(missing).toEqual([])
  })

  test('every guard that the controls take away is where they look for it (bun run controls)', () => {
    for (const { changes } of Object.values(HARD_GUARDS)) {
      for (const change of changes) {
        const source = readFileSync(join(import.meta.dir, '..', '..', 'src', change.file), 'utf8')
        expect(() => changed(change, source)).not.toThrow()
      }
    }
  })

  test('control: a proof that does not exist is noticed', () => {
    expect(names({ file: 'test/http/hard-input.test.ts', test: ['No such', 'test'].join(' ') })).toBe(false)
    expect(names({ file: 'test/no-such.test.ts', test: 'x' })).toBe(false)
  })
})

/** Whether the file has a test whose name begins so. */
function names({ file, test: name }: { file: string; test: string }): boolean {
  const path = join(import.meta.dir, '..', '..', file)
  return (
    existsSync(path) && ["'", '"', '`'].some((quote) => readFileSync(path, 'utf8').includes(quote + name))
  )
}
