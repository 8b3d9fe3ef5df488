/** What the sending of one session is made of; each of its pieces takes what it uses. */
import type { Ledger } from '../../domain/changes'
import type { MessageId, TenantId } from '../../domain/ids'
import type { KeptFile, MediaDesk, MediaStore } from '../../domain/media'
import type { Identities, Messages } from '../../domain/message'
import type { PlanLimits } from '../../domain/plans'
import type { Session } from '../../domain/session'
import type { Connection, WhatsApp } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import type { NumberCheck } from '../number-check'
import type { Places } from '../payload'
import type { RestrictionWatch } from '../restriction'

export type SendingParts = {
  session: () => Session
  /** The connection when it is through to WhatsApp. */
  connection: () => Connection | null
  /** The session has been removed. */
  isGone: () => boolean
  whatsapp: WhatsApp
  messages: Messages
  identities: Identities
  ledger: Ledger
  desk: MediaDesk
  files: MediaStore
  /** The file of a stored message, from our disk or from WhatsApp. */
  fetchFile: (messageId: MessageId) => Promise<KeptFile>
  numbers: NumberCheck
  restriction: RestrictionWatch
  places: Places
  clock: Clock
  random: () => number
  log: Log
  limits: SendingLimits
}

export type SendingLimits = {
  /** Unacknowledged messages a session may hold, whatever its plan says. */
  maxQueue: number
  /** What the plan of an account allows at the moment; everything unless given. */
  planOf?: (tenantId: TenantId) => Pick<PlanLimits, 'messages' | 'queue'>
  /** Messages of one hour after which that is told; 0 and absent = never. */
  volumeAlert?: number
  /** Longest wait for the server's acknowledgement of a message (ms). */
  ackTimeoutMs: number
  /** How long the files of messages are kept (ms). */
  mediaKeptMs: number
}
