/** The table of hard inputs: 105 numbered rows, each in exactly one table, each with what must happen. */
import type { HardRig } from './rig'

/** A row tried here, or one that is proved where what it needs can be seen: the file and the beginning of the test's name. */
export type HardRow = {
  row: number
  says: string
} & ({ holds(rig: HardRig): Promise<void> } | { proof: { file: string; test: string } })

/** Rows of this table, and those of the table at WhatsApp's own door. */
export const ALL_ROWS: readonly number[] = Array.from({ length: 105 }, (_, index) => index + 1)

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
