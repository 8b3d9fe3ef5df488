/** WhatsApp's refusals of a message in plain words: the codes of an `<ack error>`, known from its clients and from users. */
import type { SendRefusal } from '../../../domain/whatsapp'

const SENTENCES: Record<string, string> = {
  '400': 'WhatsApp refused the message as malformed',
  '401': 'WhatsApp does not let this number send this message',
  '402': 'WhatsApp has banned this number for a while',
  '403': 'WhatsApp does not let this number write here',
  '404': 'WhatsApp does not know this recipient',
  '405': 'WhatsApp does not allow this kind of message here',
  '406': 'WhatsApp does not accept this message from this number',
  '408': 'WhatsApp’s server took too long; the message was not delivered',
  '409': 'WhatsApp found a conflict with what it knows of this chat',
  '410': 'This chat or this message does not exist any more',
  '413': 'WhatsApp refused the message as too large',
  '420': 'This group does not take this message: only its admins may write, or you are not a member any more',
  '421': 'WhatsApp knows other members of this group than this session; try again',
  '429': 'WhatsApp asks for a slower pace: too many messages in too short a time',
  '463': 'WhatsApp has restricted this number from starting new chats; chats that exist already go on',
  '475': 'WhatsApp refused the message: the account is restricted',
  '479': 'WhatsApp refused the message: it is malformed or meant for a device that is not there any more',
  '500': 'WhatsApp’s server failed; the message was not delivered',
  '503': 'WhatsApp’s server is not available; the message was not delivered',
}

/** The refusal with its sentence; an unknown code keeps its number. */
export const refusalOf = (code: string): SendRefusal => ({
  code,
  says: SENTENCES[code] ?? `WhatsApp refused the message (${code})`,
})
