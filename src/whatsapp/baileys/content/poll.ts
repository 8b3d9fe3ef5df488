/** Polls and the votes on them; a vote names its answers by their SHA-256 and is encrypted with the poll's secret. */
import { createHash } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'
import type { ContentOf } from '../../../domain/content'
import { fail } from '../../../domain/errors'
import { earlierOf } from './earlier'
import { keyOf, targetOf } from './keys'
import { authorsOf, open, seal } from './secrets'
import type { PartReaders, Reading, Writer } from './shapes'

const poll = (part: proto.Message.IPollCreationMessage): ContentOf<'poll'> => ({
  type: 'poll',
  question: part.name ?? '',
  options: (part.options ?? []).map(({ optionName }) => optionName ?? ''),
  selectable: part.selectableOptionsCount ?? 0,
})

export const readPoll: PartReaders<'poll'> = {
  pollCreationMessage: poll,
  pollCreationMessageV2: poll,
  pollCreationMessageV3: poll,
  pollCreationMessageV5: poll,
}

/** WhatsApp has a part of its own for polls with one answer. */
export const writePoll: Writer<'poll'> = ({ question, options, selectable }) => {
  const part: proto.Message.IPollCreationMessage = {
    name: question,
    options: options.map((optionName) => ({ optionName })),
    selectableOptionsCount: selectable,
  }
  return selectable === 1 ? { pollCreationMessageV3: part } : { pollCreationMessage: part }
}

const hashOf = (option: string): Buffer => createHash('sha256').update(option).digest()

/** The answers that these hashes stand for, in the poll's order. */
export function optionsOf(hashes: readonly Uint8Array[], options: readonly string[]): string[] {
  const chosen = new Set(hashes.map((hash) => Buffer.from(hash).toString('hex')))
  return options.filter((option) => chosen.has(hashOf(option).toString('hex')))
}

function vote(part: proto.Message.IPollUpdateMessage, about: Reading): ContentOf<'vote'> | null {
  const key = part.pollCreationMessageKey
  const targetMessageId = key?.id
  if (!targetMessageId || !part.vote) return null
  const earlier = about.earlier(targetMessageId)
  if (!earlier?.secret) return null
  const people = { id: targetMessageId, authors: authorsOf(key, about), by: about.authors }
  const plain = open('vote', earlier.secret, people, part.vote)
  if (plain === null) return null
  const { selectedOptions } = proto.Message.PollVoteMessage.decode(plain)
  return { type: 'vote', targetMessageId, options: optionsOf(selectedOptions ?? [], earlier.options) }
}

export const readVote: PartReaders<'vote'> = { pollUpdateMessage: vote }

/** Throws `MESSAGE_NOT_SUITABLE` when the target is no poll that can be voted on, or does not offer the answers. */
export const writeVote: Writer<'vote'> = ({ targetMessageId, options }, context) => {
  const target = targetOf(targetMessageId, context)
  const earlier = earlierOf(proto.Message.decode(target.raw))
  if (!earlier.secret || earlier.options.length === 0) {
    throw fail('MESSAGE_NOT_SUITABLE', { messageId: targetMessageId, reason: 'It is not a poll' })
  }
  const stranger = options.find((option) => !earlier.options.includes(option))
  if (stranger !== undefined) {
    throw fail('MESSAGE_NOT_SUITABLE', {
      messageId: targetMessageId,
      reason: 'The poll has no such answer',
      option: stranger,
    })
  }
  const binding = {
    targetId: targetMessageId,
    targetAuthor: target.fromMe ? context.me : target.sender,
    author: context.me,
  }
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions: options.map(hashOf) }).finish()
  return {
    pollUpdateMessage: {
      pollCreationMessageKey: keyOf(target, context.chat),
      vote: seal('vote', earlier.secret, binding, plain),
      senderTimestampMs: context.now,
    },
  }
}
