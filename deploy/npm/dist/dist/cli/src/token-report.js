/** What encoding a data file came to. */
                              
                           
                            
                          
                                 
                             
 

const number = (value        )         => value.toLocaleString('en-US');

/** One sentence before training, so that a cut or a masked prompt is no surprise. */
export const tokenReport = (counts             , sequenceLength        )         => {
  const cut = counts.truncated === 0 ? '' : `; ${number(counts.truncated)} cut at --seq ${sequenceLength}`;
  return (
    `${number(counts.records)} records, ${number(counts.examples)} examples: ` +
    `${number(counts.tokens)} tokens, of which the loss counts ${number(counts.countedTokens)}${cut}`
  );
};
