/** The view of a session is made once, and made anew when anything that it shows has changed. */
import { expect, test } from 'bun:test'
import { sessionView } from '../../src/http/session-view'
import { makeSession, SESSION } from '../storage/rig'

const COUNTS = { sent: 1, received: 2, failed: 3 }

test('the same view for the same session and numbers, another one for any other', () => {
  const session = makeSession(SESSION)
  const view = sessionView(session, COUNTS, 4)
  expect(sessionView(session, { ...COUNTS }, 4)).toBe(view)
  expect(view).toMatchObject({ messageStats: COUNTS, messageQueue: 4 })
  for (const name of ['sent', 'received', 'failed'] as const) {
    sessionView(session, COUNTS, 4)
    const counts = { ...COUNTS, [name]: 9 }
    expect(sessionView(session, counts, 4).messageStats).toEqual(counts)
  }
  sessionView(session, COUNTS, 4)
  expect(sessionView(session, COUNTS, 5).messageQueue).toBe(5)
  expect(sessionView({ ...session, name: 'Other' }, COUNTS, 5).name).toBe('Other')
  expect(sessionView(session, COUNTS, 5).name).toBe('Support')
})
