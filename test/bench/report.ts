/** One table for all figures: what was measured, beside the yardstick, against the goal. */
import { cpus } from 'node:os'
import baileys from '@whiskeysockets/baileys/package.json' with { type: 'json' }
import { median, spread } from '../harness/measure'

/** One line of the table; samples are one value per round. */
export type Row = {
  name: string
  unit: string
  wabun: number[]
  raw: number[]
  /** In words; empty when the figure is only shown. */
  goal: string
  /** Judges the medians; null = only shown. */
  meets: ((wabun: number, raw: number) => boolean) | null
}

const shown = (value: number): string =>
  Number.isFinite(value)
    ? value >= 100
      ? value.toFixed(0)
      : value >= 10
        ? value.toFixed(1)
        : value.toFixed(2)
    : '–'
const withSpread = (values: readonly number[]): string =>
  values.length === 0
    ? '–'
    : `${shown(median(values))}${values.length > 1 ? ` ±${(spread(values) * 50).toFixed(0)}%` : ''}`

const verdictOf = (row: Row): string =>
  row.meets === null ? '' : row.meets(median(row.wabun), median(row.raw)) ? 'met' : 'MISSED'

/** What the figures depend on. */
export function surroundings(): Record<string, string> {
  const commit = Bun.spawnSync(['git', 'rev-parse', '--short', 'HEAD'], { cwd: import.meta.dir })
  const changed = Bun.spawnSync(['git', 'status', '--porcelain', '--', '../../src'], { cwd: import.meta.dir })
  return {
    bun: Bun.version,
    baileys: baileys.version,
    commit: `${commit.stdout.toString().trim()}${changed.stdout.length > 0 ? ' (changed)' : ''}`,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    date: new Date().toISOString(),
  }
}

/** The table as text. */
export function table(rows: readonly Row[]): string {
  const cells = [
    ['figure', 'unit', 'wabun', 'raw Baileys', 'ratio', 'goal', 'verdict'],
    ...rows.map((row) => [
      row.name,
      row.unit,
      withSpread(row.wabun),
      withSpread(row.raw),
      row.raw.length === 0 ? '' : `${(median(row.wabun) / median(row.raw)).toFixed(2)}×`,
      row.goal,
      verdictOf(row),
    ]),
  ]
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  )
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The same for machines, with every sample. */
export const asJson = (rows: readonly Row[]): string =>
  JSON.stringify(
    {
      ...surroundings(),
      rows: rows.map((row) => ({
        name: row.name,
        unit: row.unit,
        wabun: { median: median(row.wabun), samples: row.wabun },
        raw: { median: median(row.raw), samples: row.raw },
        goal: row.goal,
        verdict: verdictOf(row),
      })),
    },
    null,
    2,
  )
