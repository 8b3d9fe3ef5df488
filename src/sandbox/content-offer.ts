/** Products, orders, comments and invitations into groups. */
import type { proto } from '@whiskeysockets/baileys'
import type { PhoneContentOf } from './content-schemas'
import { known, present, type ReadContent, type Surroundings } from './content-shape'

type OfferType = 'product' | 'order' | 'comment' | 'invite'

export const writeOffer: {
  [T in OfferType]: (content: PhoneContentOf<T>, around: Surroundings) => proto.IMessage
} = {
  product: ({ productId, title, description, currency, price, url, owner }, around) => ({
    productMessage: {
      product: {
        productId,
        title,
        ...present({
          description,
          currencyCode: currency,
          priceAmount1000: price === undefined ? undefined : Math.round(price * 1000),
          url,
        }),
      },
      businessOwnerJid: owner === undefined ? around.me : around.jidOf(owner),
    },
  }),
  order: ({ orderId, title, itemCount, total, currency, text, owner }, around) => ({
    orderMessage: {
      orderId,
      sellerJid: owner === undefined ? around.me : around.jidOf(owner),
      ...present({
        orderTitle: title,
        itemCount,
        totalAmount1000: total === undefined ? undefined : Math.round(total * 1000),
        totalCurrencyCode: currency,
        message: text,
      }),
    },
  }),
  comment: ({ text, targetMessageId }, around) => ({
    commentMessage: {
      message: { extendedTextMessage: { text } },
      targetMessageKey: known(around, targetMessageId).key,
    },
  }),
  invite: ({ groupId, subject, inviteCode, expiresAt, caption }) => ({
    groupInviteMessage: {
      groupJid: groupId,
      groupName: subject,
      inviteCode,
      ...present({
        inviteExpiration: expiresAt === undefined ? undefined : Math.floor(Date.parse(expiresAt) / 1000),
        caption,
      }),
    },
  }),
}

export const readOffer: Record<string, (message: proto.IMessage) => ReadContent> = {
  productMessage({ productMessage }) {
    const { product, businessOwnerJid } = productMessage ?? {}
    const price = product?.priceAmount1000
    return {
      type: 'product',
      productId: product?.productId ?? '',
      title: product?.title ?? '',
      ...present({
        description: product?.description || undefined,
        currency: product?.currencyCode || undefined,
        price: price === null || price === undefined ? undefined : Number(price) / 1000,
        url: product?.url || undefined,
        owner: businessOwnerJid || undefined,
      }),
    }
  },
  orderMessage({ orderMessage: order }) {
    const total = order?.totalAmount1000
    return {
      type: 'order',
      orderId: order?.orderId ?? '',
      ...present({
        title: order?.orderTitle || undefined,
        itemCount: order?.itemCount || undefined,
        total: total === null || total === undefined ? undefined : Number(total) / 1000,
        currency: order?.totalCurrencyCode || undefined,
        text: order?.message || undefined,
        owner: order?.sellerJid || undefined,
      }),
    }
  },
  commentMessage: ({ commentMessage: comment }) => ({
    type: 'comment',
    text: comment?.message?.extendedTextMessage?.text ?? '',
    targetMessageId: comment?.targetMessageKey?.id ?? '',
  }),
  groupInviteMessage: ({ groupInviteMessage: invite }) => ({
    type: 'invite',
    groupId: invite?.groupJid ?? '',
    subject: invite?.groupName ?? '',
    inviteCode: invite?.inviteCode ?? '',
    ...present({
      expiresAt: Number(invite?.inviteExpiration ?? 0)
        ? new Date(Number(invite?.inviteExpiration) * 1000).toISOString()
        : undefined,
      caption: invite?.caption || undefined,
    }),
  }),
}
