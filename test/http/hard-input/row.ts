/** The tables of hard inputs: numbered rows, each with what must happen, each in exactly one of the tables. */
import type { HardRig } from './rig'

/** A row tried here, or one that is proved where what it needs can be seen: the file and the beginning of the test's name. */
export type HardRow = {
  row: number
  says: string
} & ({ holds(rig: HardRig): Promise<void> } | { proof: { file: string; test: string } })

export const ROWS: readonly number[] = Array.from({ length: 105 }, (_, index) => index + 1)

export const row = (number: number, says: string, holds: (rig: HardRig) => Promise<void>): HardRow => ({
  row: number,
  says,
  holds,
})
export const proved = (number: number, says: string, file: string, test: string): HardRow => ({
  row: number,
  says,
  proof: { file: `test/${file}.test.ts`, test },
})
