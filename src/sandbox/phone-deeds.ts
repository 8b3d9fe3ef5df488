/**
 * What messages do to earlier ones: reactions, edits, deletions, pins, votes, answers. A phone does what it is asked only when the
 * one who asks may ask for it; otherwise it says why not.
 */
import { normalizeMessageContent, type proto } from '@whiskeysockets/baileys'
import { type DeedType, secretOf, withWords } from './content-deeds'
import { type Ballot, openAnswer, openVote, optionHash } from './content-votes'
import { isChannel, isGroup } from './jid'
import type { PhoneBook } from './phone-book'
import { type Afterlife, type Entry, freshAfterlife, type PhoneJournal } from './phone-journal'

export type DeedParts = {
  journal: PhoneJournal
  book: PhoneBook
  /** All names under which a person may be known: bare number JID and LID. */
  namesOf(person: string): Promise<string[]>
  /** Told of each message that has changed. */
  onChange(entry: Entry): void
}

export interface PhoneDeeds {
  /** Does what a message asks for, if it asks for anything; notes in it why not, when not. */
  perform(entry: Entry): Promise<void>
  /** Does what was asked of this message before it came. */
  catchUp(entry: Entry): Promise<void>
  /** Puts other words into a message, or takes it away; for those whose right somebody else has judged. */
  reword(entry: Entry, words: string): void
  erase(entry: Entry): void
  /** Changes what is kept of a message, and tells. */
  change(entry: Entry, change: Partial<Afterlife>): void
}

type Deed = {
  id: string
  by: string
  content: Record<string, unknown>
  message: proto.IMessage
  /** Milliseconds since the epoch, as the sender says. */
  at: number
}
/** Why not; null when it was done. */
type Outcome = string | null | Promise<string | null>

const WORDED = ['text', 'image', 'video', 'document']

/** Makes the part of a phone that judges and applies. */
export function createPhoneDeeds(parts: DeedParts): PhoneDeeds {
  const { journal, book, namesOf } = parts
  /** Deeds whose message has not come yet, by chat and id. */
  const early = new Map<string, Entry[]>()

  const same = async (one: string, other: string) =>
    one === other || (await namesOf(one)).some((name) => name === other)

  function change(entry: Entry, changed: Partial<Afterlife>): void {
    entry.afterlife = { ...(entry.afterlife ?? freshAfterlife()), ...changed }
    journal.save(entry)
    journal.commit()
    parts.onChange(entry)
  }

  function reword(target: Entry, words: string): void {
    const edited = withWords(target.message, words)
    const { messageContextInfo } = target.message
    target.message = { ...edited, ...(messageContextInfo ? { messageContextInfo } : {}) }
    const { linkPreview: _, ...rest } = target.shown.content
    const field = target.shown.content.type === 'text' ? 'text' : 'caption'
    target.shown.content = { ...rest, type: target.shown.content.type, [field]: words }
    change(target, { edited: true })
  }

  function erase(target: Entry): void {
    target.message = {}
    target.shown.content = { type: target.shown.content.type }
    change(target, { deleted: true, pinned: false, reactions: [], votes: [], responses: [] })
  }

  /** In a channel the server has judged: posts have no authors there. */
  const mayChange = async ({ shown }: Entry, by: string) =>
    isChannel(shown.chat) || (await same(by, shown.from))

  async function isAdmin(group: string, person: string): Promise<boolean> {
    if (!isGroup(group)) return false
    const names = await namesOf(person)
    return (await book.groupIfMember(group))?.admins.some((admin) => names.includes(admin)) ?? false
  }

  /** The list with this person's entry replaced, or without it; null when a later one is there already. */
  function replaced<T extends { from: string; at: number }>(list: T[], next: T, keep: boolean): T[] | null {
    const former = list.find(({ from }) => from === next.from)
    if (former && former.at > next.at) return null
    const others = list.filter(({ from }) => from !== next.from)
    return keep ? [...others, next] : others
  }

  const DEEDS: Record<DeedType, (target: Entry, deed: Deed) => Outcome> = {
    reaction(target, { id, by, at, content }) {
      const emoji = String(content.emoji)
      const reactions = replaced(
        target.afterlife?.reactions ?? [],
        { messageId: id, emoji, from: by, at },
        emoji !== '',
      )
      if (!reactions) return 'a later reaction of the same person is there'
      change(target, { reactions })
      return null
    },

    async edit(target, { by, content }) {
      if (!(await mayChange(target, by))) return 'only its author may edit a message'
      if (!WORDED.includes(target.shown.content.type)) return 'there are no words to edit'
      reword(target, String(content.text))
      return null
    },

    async delete(target, { by }) {
      const may = (await mayChange(target, by)) || (await isAdmin(target.shown.chat, by))
      if (!may) return 'only its author or an admin may delete a message'
      erase(target)
      return null
    },

    pin(target, { content }) {
      change(target, { pinned: content.pinned === true })
      return null
    },

    async vote(target, { id, by, at, content, message }) {
      if (target.shown.content.type !== 'poll') return 'the message is no poll'
      const chosen = await openedVote(target, by, message)
      if (!chosen) return 'the vote was not sealed for this poll by its sender'
      const offered = target.shown.content.options as string[]
      const options = chosen.map((hash) => offered.find((option) => optionHash(option).equals(hash)))
      if (options.some((option) => option === undefined)) return 'the poll has no such option'
      const named = options.flatMap((option) => option ?? [])
      const selectable = Number(target.shown.content.selectable ?? 0)
      if (selectable > 0 && named.length > selectable) return 'the poll does not allow so many options'
      content.options = named
      const vote = { messageId: id, options: named, from: by, at }
      const votes = replaced(target.afterlife?.votes ?? [], vote, named.length > 0)
      if (!votes) return 'a later vote of the same person is there'
      change(target, { votes })
      return null
    },

    async rsvp(target, { id, by, at, content, message }) {
      const { type, guestsAllowed, canceled } = target.shown.content
      if (type !== 'event') return 'the message is no event'
      if (canceled) return 'the event was canceled'
      const sealed = normalizeMessageContent(message)?.encEventResponseMessage
      const answer = await opened(target, by, (ballot) => (sealed ? openAnswer(ballot, sealed) : null))
      if (!answer) return 'the answer was not sealed for this event by its sender'
      if (answer.extraGuests && !guestsAllowed) return 'nobody may be brought along'
      Object.assign(content, answer)
      const given = { messageId: id, extraGuests: 0, ...answer, from: by, at }
      const responses = replaced(target.afterlife?.responses ?? [], given, true)
      if (!responses) return 'a later answer of the same person is there'
      change(target, { responses })
      return null
    },
  }

  const openedVote = (poll: Entry, by: string, message: proto.IMessage): Promise<Buffer[] | null> => {
    const vote = normalizeMessageContent(message)?.pollUpdateMessage?.vote
    return opened(poll, by, (ballot) => (vote ? openVote(ballot, vote) : null))
  }

  /** Author and voter may be written by number or by LID; both are still the same two people. */
  async function opened<T>(
    { message, shown }: Entry,
    by: string,
    open: (ballot: Ballot) => T | null,
  ): Promise<T | null> {
    const secret = secretOf(message)
    if (!secret) return null
    for (const creator of await namesOf(shown.from)) {
      for (const voter of await namesOf(by)) {
        const found = open({ secret, targetId: shown.id, creator, voter })
        if (found) return found
      }
    }
    return null
  }

  async function perform(entry: Entry): Promise<void> {
    const { shown, message } = entry
    const judge = DEEDS[shown.content.type as DeedType]
    if (!judge) return
    const targetId = String(shown.content.targetMessageId)
    const target = journal.find(targetId, shown.chat)
    if (!target) {
      const key = `${shown.chat} ${targetId}`
      early.set(key, [...(early.get(key) ?? []), entry])
      return
    }
    const gone = target.afterlife?.deleted === true
    const deed = { id: shown.id, by: shown.from, content: shown.content, message, at: sentAt(entry) }
    const refused = gone ? 'the message was deleted' : await judge(target, deed)
    if (refused !== null) shown.refused = refused
    journal.save(entry)
    journal.commit()
  }

  async function catchUp({ shown }: Entry): Promise<void> {
    const place = `${shown.chat} ${shown.id}`
    const waiting = early.get(place)
    early.delete(place)
    for (const deed of waiting ?? []) await perform(deed)
  }

  return { perform, catchUp, reword, erase, change }
}

/** When its sender says that it was done. */
function sentAt({ shown, message }: Entry): number {
  const inner = normalizeMessageContent(message)
  const told =
    inner?.reactionMessage?.senderTimestampMs ?? inner?.pollUpdateMessage?.senderTimestampMs ?? null
  return Number(told ?? 0) || shown.timestamp * 1000
}
