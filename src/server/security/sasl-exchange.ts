/** What comes of a client's token. */
export type SaslStep =
  /** The client has to answer this. */
  | { readonly kind: 'challenge'; readonly token: Buffer }
  /** The client is who it says; the token goes to it still. */
  | { readonly kind: 'done'; readonly token: Buffer; readonly user: string }
  /** It is not, or what it sent is no message of the mechanism. `user` is for the log alone. */
  | { readonly kind: 'failed'; readonly user: string | undefined }

/** The server's side of one authentication, from the first token to its end. */
export interface SaslExchange {
  step(token: Buffer): SaslStep | Promise<SaslStep>
}
