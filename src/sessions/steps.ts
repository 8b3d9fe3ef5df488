/** A session's mailbox that knows how long its present step has taken. */
import type { Clock } from '../lib/clock'
import { createMailbox, type Mailbox } from '../lib/mailbox'

export interface Steps extends Pick<Mailbox, 'run' | 'close'> {
  /** How long the present step has taken (ms); null when there is none. */
  busyFor(): number | null
}

export function createSteps(clock: Clock): Steps {
  const mailbox = createMailbox()
  let began: number | null = null
  return {
    run: (task) =>
      mailbox.run(async () => {
        began = clock.monotonic()
        try {
          return await task()
        } finally {
          began = null
        }
      }),
    busyFor: () => (began === null ? null : clock.monotonic() - began),
    close: mailbox.close,
  }
}
