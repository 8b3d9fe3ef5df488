/** The hard inputs, all of them, over HTTP and raw sockets against a real server. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { JSON_ROWS } from './hard-input/json'
import { type HardRig, startHardRig } from './hard-input/rig'
import type { HardRow } from './hard-input/row'
import { URL_ROWS } from './hard-input/urls'

let rig: HardRig
beforeAll(async () => {
  rig = await startHardRig()
})
afterAll(() => rig.stop())

const TABLES: Record<string, readonly HardRow[]> = {
  'X1 JSON and schemas': JSON_ROWS,
  'X2 URLs': URL_ROWS,
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
