/** What is done once a decision is on disk: the connection closed, opened, unlinked, its keys wiped, a retry planned. */
import type { Effect } from '../domain/session-life'
import type { Log } from '../lib/log'
import type { Intake } from './intake'
import type { Line } from './line'
import type { Opening } from './opening'

export type EffectsParts = {
  line: Line
  intake: Intake
  opening: Opening
  /** Plans a retry for this moment. */
  arm: (at: number) => void
  log: Log
}

export interface Effects {
  act(effects: readonly Effect[]): Promise<void>
  /** Resolves when the connection is gone and all it received is recorded. */
  closeLine(): Promise<void>
  /** Unlinks the device if it can. */
  unlink(): Promise<void>
}

export function createEffects({ line, intake, opening, arm, log }: EffectsParts): Effects {
  const closeLine = async () => {
    await line.close()
    await intake.record()
  }

  const unlink = async () => {
    try {
      await line.unlink()
    } catch (error) {
      log.warn('The device could not be unlinked', { error: String(error) })
    }
    await intake.record()
  }

  const deeds: Record<Extract<Effect, string>, () => Promise<void>> = {
    logout: unlink,
    close: closeLine,
    // When it fails, the next opening wipes before anything else: the session has no credentials any more.
    wipe: () =>
      opening.wipe().catch((error: unknown) => log.error('Keys wait to be wiped', { error: String(error) })),
    async open() {
      await closeLine()
      await opening.due()
    },
  }

  return {
    closeLine,
    unlink,
    async act(effects) {
      for (const effect of effects) {
        if (typeof effect === 'object') arm(effect.retryAt)
        else await deeds[effect]()
      }
    },
  }
}
