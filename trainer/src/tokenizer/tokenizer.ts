export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  /** All that end a text or a turn, `eosTokenId` among them: what generation stops at. */
  readonly endTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
  /** Ids of `text` as it stands; the same ids as transformers' tokenizer with `add_special_tokens=False`. */
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
  /** Renders messages through the model's own chat template; throws WEFT_MODEL_NO_CHAT_TEMPLATE where it has none. */
  renderChat(messages: readonly ChatMessage[], options?: { addGenerationPrompt?: boolean }): string;
}
