                                          

/** The languages of the demo's three nodes; the base model has seen none of them. */
export const demoLocales = ['tr', 'pl', 'ko']                                     ;
