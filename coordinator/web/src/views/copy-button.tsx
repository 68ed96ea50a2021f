import { useState } from 'preact/hooks';
import { announcement } from '../state/store.ts';

/** @param label where several on a page copy the same kind of thing, what this one copies */
export function CopyButton({ text, what, label }: { text: string; what: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      announcement.value = `The ${what} is copied.`;
    } catch {
      // an old browser or a denied permission: the text stands beside the button
      announcement.value = `The ${what} could not be copied; select it and copy it yourself.`;
    }
  };
  return (
    <button
      type="button"
      aria-label={copied ? undefined : label}
      onClick={() => void copy()}
      onBlur={() => setCopied(false)}
    >
      {copied ? `Copied ${what} ✓` : `Copy ${what}`}
    </button>
  );
}
