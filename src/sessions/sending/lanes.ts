/**
 * Order: the messages of a chat go one after another, in the order of their ranks; chats take turns and do not wait for
 * each other.
 */
import type { Jid } from '../../domain/ids'

type Ranked = { chat: Jid; rank: number }

export interface Lanes<Item extends Ranked> {
  /** Messages that wait, without those whose turn it is. */
  readonly waiting: number
  /** Puts a message into the lane of its chat, behind those of lower rank. */
  put(item: Item): void
  /** Takes a message that waits out; false when it does not wait. */
  drop(item: Item): boolean
  /** The next message of a chat in which no turn is running; its lane rests until `done`. */
  take(): Item | null
  /** The turn of this chat is over. */
  done(chat: Jid): void
}

export function createLanes<Item extends Ranked>(): Lanes<Item> {
  /** Lanes of which a message can be taken; the one whose turn was last stands at the end. */
  const open = new Map<Jid, Item[]>()
  /** Lanes in which a turn is running. */
  const busy = new Map<Jid, Item[]>()
  let waiting = 0

  const place = (lane: Item[], item: Item) => {
    let at = lane.length
    while (at > 0 && (lane[at - 1]?.rank ?? 0) > item.rank) at -= 1
    lane.splice(at, 0, item)
  }

  return {
    get waiting() {
      return waiting
    },
    put(item) {
      waiting += 1
      const lane = busy.get(item.chat) ?? open.get(item.chat)
      if (lane) place(lane, item)
      else open.set(item.chat, [item])
    },
    drop(item) {
      const lane = busy.get(item.chat) ?? open.get(item.chat)
      const at = lane?.indexOf(item) ?? -1
      if (!lane || at < 0) return false
      lane.splice(at, 1)
      waiting -= 1
      if (lane.length === 0) open.delete(item.chat)
      return true
    },
    take() {
      const [first] = open
      const item = first?.[1].shift()
      if (!first || !item) return null
      waiting -= 1
      open.delete(first[0])
      busy.set(first[0], first[1])
      return item
    },
    done(chat) {
      const lane = busy.get(chat)
      busy.delete(chat)
      if (lane && lane.length > 0) open.set(chat, lane)
    },
  }
}
