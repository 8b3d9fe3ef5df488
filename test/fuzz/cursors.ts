/** Cursors, and what stream clients say: read to a value or refused, and what is read says the same when written again. */
import { formatCursor, parseCursor } from '../../src/domain/journal'
import { parseFrame, parseWish } from '../../src/stream/parse'
import { type Chance, mutated } from './random'
import type { Target } from './run'

const SAID = [
  '9f86d081-1042',
  'zzzzzzzz-0',
  '9f86d081-999999999999999',
  '{"type":"ping"}',
  '{"type":"subscribe","events":["message.*","*"],"sessionIds":["5bc99cea8975b95fe7077c64a3312145"],"after":"9f86d081-1042"}',
  '{"type":"subscribe","events":[],"after":null}',
  'message.*,session.connected',
]

const make = (chance: Chance): string => mutated(chance, chance.of(SAID))

function take(text: string): void {
  const cursor = parseCursor(text)
  if (cursor) {
    if (!Number.isSafeInteger(cursor.seq) || cursor.seq < 0)
      throw new Error(`A place that is none: ${cursor.seq}`)
    const again = parseCursor(formatCursor(cursor))
    if (again?.seq !== cursor.seq || again.epoch !== cursor.epoch)
      throw new Error('Another place when written again')
  }
  const frame = parseFrame(text)
  if (frame.ok && !['ping', 'subscribe'].includes(frame.value.type)) throw new Error('A frame of no kind')
  for (const query of [{ after: text }, { events: text }, { sessionIds: text, events: '*' }]) parseWish(query)
}

export const cursors: Target<string> = {
  name: 'cursors',
  open: async () => ({ make, take, end: async () => undefined }),
  show: (text) => JSON.stringify(text.slice(0, 200)),
}
