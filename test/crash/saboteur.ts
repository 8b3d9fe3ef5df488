/**
 * Loaded before the product by the crash rig: kills the process at the n-th passing of a fault point, and takes guards
 * away. `CRASH_POINT` and `CRASH_AT` say where, `CRASH_WITHOUT` which guard.
 */
import { join } from 'node:path'
import { plugin } from 'bun'
import { armFaultPoints } from '../../src/lib/fault-points'
import { GUARDS, type GuardName, withoutGuard } from './guards'

const { CRASH_POINT: point, CRASH_AT: at = '1', CRASH_WITHOUT: guard } = process.env

let left = Number(at)
if (point !== undefined) {
  armFaultPoints((passed) => {
    if (passed !== point) return
    left -= 1
    if (left <= 0) process.kill(process.pid, 'SIGKILL')
  })
}

if (guard !== undefined) {
  if (!Object.hasOwn(GUARDS, guard)) throw new Error(`No such guard: ${guard}`)
  const name = guard as GuardName
  const path = join(import.meta.dir, '..', '..', 'src', GUARDS[name].file)
  plugin({
    name: `without ${name}`,
    setup(build) {
      build.onLoad({ filter: new RegExp(`^${path.replaceAll('.', '\\.')}$`) }, async () => ({
        contents: withoutGuard(name, await Bun.file(path).text()),
        loader: 'ts',
      }))
    },
  })
}
