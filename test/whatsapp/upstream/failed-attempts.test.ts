import { afterEach, expect, test } from 'bun:test'
import { undoFailedAttempts } from '../../../src/whatsapp/baileys/upstream/failed-attempts'
import { quietLibsignal } from '../../../src/whatsapp/baileys/upstream/quiet-libsignal'
import { person } from '../support/signal-pair'

let takeBack: () => void = () => undefined
afterEach(() => takeBack())

/** A begins anew while a message of B is under way on the old session; B hears what A says then. */
async function newSessionMeetsOldMessage(): Promise<string> {
  const [a, b] = [person('1@lid'), person('2@lid')]
  await b.begin(a)
  await a.hear(b, await b.say(a, 'hello'))
  await b.hear(a, await a.say(b, 'hello'))
  const underWay = await b.say(a, 'on the old session')
  await a.begin(b)
  expect(await a.hear(b, underWay)).toBe('on the old session')
  return await b.hear(a, await a.say(b, 'on the new session'))
}

test('upstream: a message on an old session breaks the new one', async () => {
  undoFailedAttempts()()
  const quiet = quietLibsignal()
  const heard = newSessionMeetsOldMessage()
  await heard.catch(() => undefined)
  expect(heard).rejects.toThrow('Bad MAC')
  quiet.undo()
})

test('a message on an old session leaves the new one as it is', async () => {
  const quiet = quietLibsignal()
  takeBack = undoFailedAttempts()
  expect(await newSessionMeetsOldMessage()).toBe('on the new session')
  quiet.undo()
})
