const toSentence = (text: string): string => {
  const begun = text.replace(/^[a-z]/, (letter) => letter.toUpperCase());
  return /[.!?:]$/.test(begun) ? begun : `${begun}.`;
};

/** A line of the catalogue as a sentence: what stands between backticks is to be typed. */
export function Sentence({ text }: { text: string }) {
  return (
    <>
      {toSentence(text)
        .split('`')
        .map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}
    </>
  );
}
