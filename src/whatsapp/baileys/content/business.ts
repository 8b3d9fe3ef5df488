/** What a linked device can only read: buttons, lists and products of businesses, answers and orders; invitations. */
import type { proto } from '@whiskeysockets/baileys'
import type { ContentOf } from '../../../domain/content'
import { momentOf, numberOf, type PartReaders, some } from './shapes'

type Buttons = ContentOf<'buttons'>
type Button = Buttons['buttons'][number]

const buttonsOf = (
  text: string | null | undefined,
  footer: string | null | undefined,
  buttons: Button[],
): Buttons => ({
  type: 'buttons',
  text: text ?? '',
  ...some('footer', footer),
  buttons,
})

/** Parameters of native flows are JSON of whoever wrote it. */
function parameters(json: string | null | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

const textIn = (of: Record<string, unknown>, ...names: string[]): string => {
  const found = names.map((name) => of[name]).find((value) => typeof value === 'string' && value !== '')
  return typeof found === 'string' ? found : ''
}

function templateButton({ quickReplyButton, urlButton, callButton }: proto.IHydratedTemplateButton): Button {
  if (urlButton) return { id: '', text: urlButton.displayText ?? '', ...some('url', urlButton.url) }
  if (callButton) {
    return { id: '', text: callButton.displayText ?? '', ...some('url', tel(callButton.phoneNumber)) }
  }
  return { id: quickReplyButton?.id ?? '', text: quickReplyButton?.displayText ?? '' }
}

const tel = (number: string | null | undefined): string | null => (number ? `tel:${number}` : null)

function interactive(part: proto.Message.IInteractiveMessage): Buttons | null {
  const { header, body, footer, nativeFlowMessage } = part
  if (!nativeFlowMessage && !body?.text) return null
  const flow = (nativeFlowMessage?.buttons ?? []).map(({ name, buttonParamsJson }): Button => {
    const given = parameters(buttonParamsJson)
    return {
      id: textIn(given, 'id') || (name ?? ''),
      text: textIn(given, 'display_text', 'title'),
      ...some('url', textIn(given, 'url')),
    }
  })
  return buttonsOf(body?.text || header?.title, footer?.text, flow)
}

export const readButtons: PartReaders<'buttons'> = {
  buttonsMessage: (part) =>
    buttonsOf(
      part.contentText || part.text,
      part.footerText,
      (part.buttons ?? []).map(({ buttonId, buttonText }) => ({
        id: buttonId ?? '',
        text: buttonText?.displayText ?? '',
      })),
    ),
  templateMessage: (part) => {
    const template = part.hydratedTemplate ?? part.hydratedFourRowTemplate
    if (!template)
      return part.interactiveMessageTemplate ? interactive(part.interactiveMessageTemplate) : null
    return buttonsOf(
      template.hydratedContentText || template.hydratedTitleText,
      template.hydratedFooterText,
      (template.hydratedButtons ?? []).map(templateButton),
    )
  },
  interactiveMessage: interactive,
}

export const readList: PartReaders<'list'> = {
  listMessage: (part) => ({
    type: 'list',
    ...some('title', part.title),
    text: part.description ?? '',
    ...some('footer', part.footerText),
    buttonText: part.buttonText ?? '',
    sections: (part.sections ?? []).map(({ title, rows }) => ({
      ...some('title', title),
      rows: (rows ?? []).map((row) => ({
        id: row.rowId ?? '',
        title: row.title ?? '',
        ...some('description', row.description),
      })),
    })),
  }),
}

const choice = (
  id: string | null | undefined,
  text: string | null | undefined,
  context: proto.IContextInfo | null | undefined,
): ContentOf<'choice'> => ({
  type: 'choice',
  choiceId: id ?? '',
  text: text ?? '',
  ...some('targetMessageId', context?.stanzaId),
})

export const readChoice: PartReaders<'choice'> = {
  buttonsResponseMessage: (part) => choice(part.selectedButtonId, part.selectedDisplayText, part.contextInfo),
  listResponseMessage: (part) =>
    choice(part.singleSelectReply?.selectedRowId, part.title || part.description, part.contextInfo),
  templateButtonReplyMessage: (part) => choice(part.selectedId, part.selectedDisplayText, part.contextInfo),
  interactiveResponseMessage: (part) => {
    const given = parameters(part.nativeFlowResponseMessage?.paramsJson)
    const id = textIn(given, 'id') || part.nativeFlowResponseMessage?.name
    return choice(id, part.body?.text || textIn(given, 'title'), part.contextInfo)
  },
}

const ownerOf = (jid: string | null | undefined): string | null =>
  jid?.endsWith('@s.whatsapp.net') ? (jid.split('@')[0] ?? null) : (jid ?? null)

export const readProduct: PartReaders<'product'> = {
  productMessage: ({ product, businessOwnerJid, body }) => {
    if (!product) return null
    const thousandths = numberOf(product.priceAmount1000)
    return {
      type: 'product',
      productId: product.productId ?? '',
      title: product.title ?? '',
      ...some('description', product.description || body),
      ...some('currency', product.currencyCode),
      ...(thousandths === null ? {} : { price: thousandths / 1000 }),
      ...some('url', product.url),
      ...some('owner', ownerOf(businessOwnerJid)),
    }
  },
}

export const readOrder: PartReaders<'order'> = {
  orderMessage: (part) => {
    const thousandths = numberOf(part.totalAmount1000)
    return {
      type: 'order',
      orderId: part.orderId ?? '',
      ...some('title', part.orderTitle),
      ...some('itemCount', part.itemCount),
      ...(thousandths ? { total: thousandths / 1000 } : {}),
      ...some('currency', part.totalCurrencyCode),
      ...some('text', part.message),
      ...some('owner', ownerOf(part.sellerJid)),
    }
  },
}

export const readInvite: PartReaders<'invite'> = {
  groupInviteMessage: (part) =>
    part.groupJid && part.inviteCode
      ? {
          type: 'invite',
          groupId: part.groupJid,
          subject: part.groupName ?? '',
          inviteCode: part.inviteCode,
          ...some('expiresAt', momentOf(part.inviteExpiration)),
          ...some('caption', part.caption),
        }
      : null,
}
