/**
 * Loaded before the product by the crash rig: kills the process at the n-th passing of a fault point, and takes guards
 * away. `CRASH_POINT` and `CRASH_AT` say where, `CRASH_WITHOUT` which guard.
 */
import { join } from 'node:path'
import { plugin } from 'bun'
import { armFaultPoints } from '../../src/lib/fault-points'
import { type Change, changed, GUARDS, type GuardName } from './guards'

const { CRASH_POINT: point, CRASH_AT: at = '1', CRASH_WITHOUT: guard } = process.env

let left = Number(at)
if (point !== undefined) {
  armFaultPoints((passed) => {
    if (passed !== point) return
    left -= 1
    if (left <= 0) process.kill(process.pid, 'SIGKILL')
  })
}

const SRC = join(import.meta.dir, '..', '..', 'src')

function change(what: string, changes: readonly Change[]): void {
  plugin({
    name: what,
    setup(build) {
      for (const one of changes) {
        const path = join(SRC, one.file)
        build.onLoad({ filter: new RegExp(`^${path.replaceAll('.', '\\.')}$`) }, async () => ({
          contents: changed(one, await Bun.file(path).text()),
          loader: 'ts',
        }))
      }
    },
  })
}

if (guard !== undefined) {
  if (!Object.hasOwn(GUARDS, guard)) throw new Error(`No such guard: ${guard}`)
  change(`without ${guard}`, GUARDS[guard as GuardName])
}
