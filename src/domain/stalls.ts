/** What can stop moving in a session without anybody having said so, as told in `session.stalled`. */
export type StallRow = {
  /** A sentence for whoever looks at the session. */
  says: string
  /** What is to be done, in words for tired people. */
  action: string
}

const WAIT = 'Nothing to do: the session reconnects by itself'

const ROWS = {
  no_answer: { says: 'WhatsApp does not answer any more on a connection that seemed to stand', action: WAIT },
  storage: {
    says: 'What WhatsApp brings cannot be written to disk; nothing is acknowledged until it can',
    action: 'Free disk space on the server; the session reconnects by itself',
  },
  queue: { says: 'Messages wait although nothing holds them', action: WAIT },
  message: {
    says: 'A received message cannot be handled; it is kept and tried again at every connect, for a day',
    action: 'Look at the phone for the message, and update this server',
  },
  intake: {
    says: 'What WhatsApp brings is not taken over any more: a step of the session does not end',
    action: 'Restart the server if this lasts for minutes',
  },
} as const satisfies Record<string, StallRow>

export type StallReason = keyof typeof ROWS
export const STALL_REASONS = Object.keys(ROWS) as StallReason[]

export const stallRow = (reason: StallReason): StallRow => ROWS[reason]

/** Something has not moved since then (ms). */
export type Stall = { reason: StallReason; since: number }
