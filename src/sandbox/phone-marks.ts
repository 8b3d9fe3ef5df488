/** How the app state writes the marks of a chat. */
import type { CollectionName, Mutation } from './app-state-patches'
import type { ChatState } from './phone-app-state'

export type Mark = Omit<Mutation, 'operation'> & { collection: CollectionName }

/** One change per mark, with the index and version under which WhatsApp knows it. */
export function marksOf(jid: string, { archived, pinned, mutedUntil, read }: Partial<ChatState>): Mark[] {
  const marks: Mark[] = []
  const low = 'regular_low'
  if (archived !== undefined) {
    marks.push({
      collection: low,
      index: ['archive', jid],
      version: 3,
      value: { archiveChatAction: { archived } },
    })
  }
  if (pinned !== undefined) {
    marks.push({ collection: low, index: ['pin_v1', jid], version: 5, value: { pinAction: { pinned } } })
  }
  if (mutedUntil !== undefined) {
    const muteAction = mutedUntil === null ? { muted: false } : { muted: true, muteEndTimestamp: mutedUntil }
    marks.push({ collection: 'regular_high', index: ['mute', jid], version: 2, value: { muteAction } })
  }
  if (read !== undefined && read !== null) {
    const value = { markChatAsReadAction: { read } }
    marks.push({ collection: low, index: ['markChatAsRead', jid], version: 3, value })
  }
  return marks
}
