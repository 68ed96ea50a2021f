/** The fenced blocks of one language below a heading of a Markdown text, in order. */
export const fencedBlocks = (markdown: string, heading: string, language: string): string[] => {
  const section = markdown.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    (match) => match[1] ?? '',
  );
};
