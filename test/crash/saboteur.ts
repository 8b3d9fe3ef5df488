/**
 * Loaded before the product by the crash rig: kills the process at the n-th passing of a fault point, and takes guards
 * away. `CRASH_POINT` and `CRASH_AT` say where, `CRASH_WITHOUT` which guard; with `CRASH_WAITS=short` webhooks are tried
 * again soon.
 */
import { join } from 'node:path'
import { plugin } from 'bun'
import { armFaultPoints } from '../../src/lib/fault-points'
import { type Change, changed, GUARDS, type GuardName, SHORT_WAITS } from './guards'

const { CRASH_POINT: point, CRASH_AT: at = '1', CRASH_WITHOUT: guard, CRASH_WAITS: waits } = process.env

let left = Number(at)
if (point !== undefined) {
  armFaultPoints((passed) => {
    if (passed !== point) return
    left -= 1
    if (left <= 0) process.kill(process.pid, 'SIGKILL')
  })
}

const changes: Change[] = waits === 'short' ? [SHORT_WAITS] : []
if (guard !== undefined) {
  if (!Object.hasOwn(GUARDS, guard)) throw new Error(`No such guard: ${guard}`)
  changes.push(...GUARDS[guard as GuardName])
}

for (const file of new Set(changes.map((change) => change.file))) {
  const path = join(import.meta.dir, '..', '..', 'src', file)
  const those = changes.filter((change) => change.file === file)
  plugin({
    name: `changed ${file}`,
    setup(build) {
      build.onLoad({ filter: new RegExp(`^${path.replaceAll('.', '\\.')}$`) }, async () => ({
        contents: those.reduce((source, change) => changed(change, source), await Bun.file(path).text()),
        loader: 'ts',
      }))
    },
  })
}
