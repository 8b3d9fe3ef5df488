/** A dry run: everything that `send` would find wrong, and what it would send; nothing is sent, nothing is kept. */
import type { Ask, Media } from '../../domain/content'
import type { FileAsk } from '../../domain/content-media'
import { isLid, isPhoneJid, phoneOf } from '../../domain/ids'
import type { MediaDesk, StagedFile } from '../../domain/media'
import { asFileId } from '../../domain/media'
import type { Identities, Messages } from '../../domain/message'
import type { Examined, SendRequest } from '../../domain/sending'
import type { Session } from '../../domain/session'
import type { Connection } from '../../domain/whatsapp'
import type { NumberCheck } from '../number-check'
import { type Addressed, addressed } from './addressing'
import type { Admission } from './admission'
import { contentOf } from './asks'
import { filesOf } from './gathering'
import { forwardable } from './targets'

export type ExaminerParts = {
  connection: () => Connection | null
  messages: Messages
  identities: Identities
  numbers: NumberCheck
  desk: MediaDesk
  admission: Admission
  countOf: (request: SendRequest) => number
}

export interface Examiner {
  examine(request: SendRequest): Promise<Examined>
}

export function createExaminer(parts: ExaminerParts): Examiner {
  const { connection, messages, numbers, desk, admission } = parts

  const exists = async ({ to, party }: Addressed): Promise<boolean | null> => {
    if (!isLid(to) && !isPhoneJid(to)) return null
    if (party.lid !== null) return true
    const phoneNumber = phoneOf(to)
    if (phoneNumber === null) return null
    return (await numbers.check(connection(), phoneNumber))?.exists ?? null
  }

  const looked = (now: Session, ask: FileAsk): Promise<Media> =>
    desk.examine({ tenantId: now.tenantId, sessionId: now.id }, ask)

  /** What `compose` would refuse, without a file to compose it with. */
  const refuseContent = (now: Session, ask: Ask, { target }: Addressed) => {
    if (ask.type === 'album') return
    if (ask.type === 'forward') return void forwardable(messages, now, ask.messageId)
    contentOf(ask, { staged: STAND_IN, preview: null, target })
  }

  return {
    async examine(request) {
      const count = parts.countOf(request)
      const now = admission.enter(count, request.queue === true || request.sendAt !== undefined)
      try {
        const address = await addressed(parts, now, connection(), request)
        admission.refuseNewChat(address.chat, request)
        refuseContent(now, request.ask, address)
        const media: Media[] = []
        for (const ask of filesOf(request.ask)) media.push(await looked(now, ask))
        return {
          to: address.to,
          party: address.party,
          exists: await exists(address),
          established: messages.isEstablished(now.id, address.chat),
          media: request.ask.type === 'album' ? null : (media[0] ?? null),
        }
      } finally {
        admission.leave(count)
      }
    },
  }
}

/** In the place of the file that a dry run does not keep. */
const STAND_IN: StagedFile = {
  fileId: asFileId(''),
  media: { mimetype: null, size: null },
  thumbnail: null,
  animated: false,
}
