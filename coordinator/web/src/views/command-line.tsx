import { CopyButton } from './copy-button.tsx';

/** A command to be typed elsewhere, and a button that copies it. */
export function CommandLine({ text, what }: { text: string; what: string }) {
  return (
    <div class="command">
      <pre>{text}</pre>
      <CopyButton text={text} what={what} />
    </div>
  );
}
