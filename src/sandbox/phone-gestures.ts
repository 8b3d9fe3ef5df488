/** What a phone's owner does with it besides speaking: reading, starring, marking chats, typing, groups. */
import { randomBytes } from 'node:crypto'
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import { isChannel, jidOf, parseJid } from './jid'
import { child, node } from './node'
import type { ChatState, PhoneAppState } from './phone-app-state'
import type { PhoneJournal } from './phone-journal'
import { marksOf } from './phone-marks'
import { NoSuchMessage } from './phone-screen'
import { addressOf, type PhoneSpeech } from './phone-speech'
import type { PhoneUplink } from './types'

export interface PhoneGestures {
  read(messageId: string): Promise<void>
  played(messageId: string): Promise<void>
  /** Stars a message, or no longer, on all devices of the account. */
  star(messageId: string, starred: boolean): Promise<void>
  /** Marks a chat on all devices of the account. */
  changeChat(chat: string, change: Partial<ChatState>): Promise<void>
  /** How chats are marked, by their JIDs. */
  chats(): Record<string, ChatState>
  typing(to: string, state?: 'composing' | 'recording' | 'paused'): void
  setPresence(presence: 'available' | 'unavailable'): void
  createGroup(subject: string, members: string[]): Promise<{ jid: string; subject: string }>
  /** Sends any change to a group, as an `iq` child: `add`, `remove`, `subject`, … */
  changeGroup(jid: string, change: BinaryNode): Promise<BinaryNode>
}

export type GestureParts = {
  uplink: PhoneUplink
  journal: PhoneJournal
  speech: PhoneSpeech
  appState: PhoneAppState
  own: { pn: string; lid: string }
  name: string
  clock: Clock
  /** Runs work in the phone's one line of events. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
}

/** Makes the part of a phone that its owner's hands reach. */
export function createPhoneGestures(parts: GestureParts): PhoneGestures {
  const { uplink, journal, speech, appState, clock, inTurn } = parts

  async function receiptFor(id: string, type: 'read' | 'played'): Promise<void> {
    const entry = journal.findReceived(id)
    if (!entry) throw new NoSuchMessage(id)
    const { from, participant } = entry.address
    if (isChannel(from)) {
      const seen = node('list', {}, [node('item', { server_id: entry.shown.serverId })])
      uplink.send(node('receipt', { id, to: from, type: 'view' }, [seen]))
      return
    }
    const t = String(Math.floor(clock.now() / 1000))
    const to = participant ? from : bare(from)
    uplink.send(node('receipt', { id, to, participant, type, t }))
  }

  return {
    read: (id) => receiptFor(id, 'read'),
    played: (id) => receiptFor(id, 'played'),
    star: (id, starred) =>
      inTurn(async () => {
        const { key } = await speech.known(id)
        const author = key.fromMe ? '0' : (key.participant ?? '0')
        const index = ['star', key.remoteJid ?? '', id, key.fromMe ? '1' : '0', author]
        await appState.push('regular_low', { index, value: { starAction: { starred } }, version: 2 })
      }),
    changeChat: (chat, change) =>
      inTurn(async () => {
        const jid = await speech.chatName(addressOf(chat))
        for (const mark of marksOf(jid, change)) await appState.push(mark.collection, mark)
      }),
    chats: () => Object.fromEntries(appState.chats()),
    typing(to, said = 'composing') {
      const content =
        said === 'recording'
          ? node('composing', { media: 'audio' })
          : node(said === 'paused' ? said : 'composing')
      uplink.send(node('chatstate', { from: parts.own.pn, to: addressOf(to) }, [content]))
    },
    setPresence: (presence) => uplink.send(node('presence', { type: presence, name: parts.name })),

    async createGroup(subject, members) {
      const answer = await uplink.query(
        node('iq', { type: 'set', xmlns: 'w:g2', to: '@g.us' }, [
          node(
            'create',
            { subject, key: randomBytes(8).toString('hex') },
            members.map((member) => node('participant', { jid: addressOf(member) })),
          ),
        ]),
      )
      return { jid: `${child(answer, 'group')?.attrs.id}@g.us`, subject }
    },
    changeGroup: (group, change) =>
      uplink.query(node('iq', { type: 'set', xmlns: 'w:g2', to: group }, [change])),
  }
}

const bare = (address: string): string => {
  const { user = '', server = '' } = parseJid(address) ?? {}
  return jidOf(user, server)
}
