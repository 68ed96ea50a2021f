/** Called now and then while something long goes on; bars are drawn from it. */
                                                                                                                                            
