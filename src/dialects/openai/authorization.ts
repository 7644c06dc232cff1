/** How OpenAI, and most who speak its formats, take a secret. */
export function authorization(credential: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${credential}` };
}
