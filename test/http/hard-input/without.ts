/** Loaded before a test by the controls: takes the guard away that `HARD_WITHOUT` names. */
import { join } from 'node:path'
import { plugin } from 'bun'
import { changed } from '../../crash/guards'
import { HARD_GUARDS } from './guards'

const name = process.env.HARD_WITHOUT ?? ''
const guarded = HARD_GUARDS[name]
if (!guarded) throw new Error(`No such guard: ${name}`)
for (const change of guarded.changes) {
  const path = join(import.meta.dir, '..', '..', '..', 'src', change.file)
  plugin({
    name: `changed ${change.file}`,
    setup(build) {
      build.onLoad({ filter: new RegExp(`^${path.replaceAll('.', '\\.')}$`) }, async () => ({
        contents: changed(change, await Bun.file(path).text()),
        loader: 'ts',
      }))
    },
  })
}
