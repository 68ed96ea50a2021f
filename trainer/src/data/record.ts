import { sha256, type Sha256 } from '@weft/shared';
import type { ChatMessage } from '../tokenizer/tokenizer.ts';

/** Where a record came from, for the operator's eyes. */
export interface RecordSource {
  readonly file: string;
  /** From 1: the line on which the record begins, or the row of a table that has no lines. */
  readonly line: number;
  readonly unit?: 'row';
}

/** As errors name it: `line 7`, `row 7`. */
export const placeOf = ({ unit, line }: RecordSource): string => `${unit ?? 'line'} ${line}`;

export type RecordContent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'promptCompletion'; readonly prompt: string; readonly completion: string }
  | { readonly kind: 'messages'; readonly messages: readonly ChatMessage[] }
  | { readonly kind: 'ids'; readonly inputIds: Int32Array; readonly labels: Int32Array | undefined };

export interface LocatedContent {
  readonly content: RecordContent;
  readonly source: RecordSource;
}

/** One piece of data. Its id is the SHA-256 of its content: it decides the held-out share and never leaves the node. */
export type DataRecord = RecordContent & { readonly id: Sha256; readonly source: RecordSource };

export function createRecord(content: RecordContent, source: RecordSource): DataRecord {
  return { ...content, id: sha256(JSON.stringify(canonical(content))), source };
}

function canonical(content: RecordContent): unknown[] {
  switch (content.kind) {
    case 'text':
      return [content.kind, content.text];
    case 'promptCompletion':
      return [content.kind, content.prompt, content.completion];
    case 'messages':
      return [content.kind, content.messages.map(({ role, content: text }) => [role, text])];
    case 'ids':
      return [content.kind, [...content.inputIds], content.labels && [...content.labels]];
  }
}
