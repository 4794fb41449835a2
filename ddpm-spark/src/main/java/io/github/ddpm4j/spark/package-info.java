/**
 * Many machines, by Apache Spark: drawing pictures, figures over them, and training in rounds. On
 * the class path alone, since Spark's jars share packages.
 *
 * <p>What runs on executors are functions in final classes of this package, which carry settings,
 * never a network: that is loaded once an executor.
 */
@NullMarked
package io.github.ddpm4j.spark;

import org.jspecify.annotations.NullMarked;
