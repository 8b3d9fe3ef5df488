/** Products and invitations into groups. */
import type { proto } from '@whiskeysockets/baileys'
import type { PhoneContentOf } from './content-schemas'
import { present, type ReadContent, type Surroundings } from './content-shape'

type OfferType = 'product' | 'invite'

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
