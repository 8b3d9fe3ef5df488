/** Everything that takes hostile input and is fuzzed. */
import { bodies } from './bodies'
import { cursors } from './cursors'
import { routes } from './routes'
import type { Target } from './run'
import { stanzas } from './stanzas'
import { urls } from './urls'

export const TARGETS: readonly Target<unknown>[] = [stanzas, bodies, urls, cursors, routes]
