/** LangChain4j's image model over a sampling service. */
@NullMarked
package io.github.ddpm4j.langchain4j;

import org.jspecify.annotations.NullMarked;
