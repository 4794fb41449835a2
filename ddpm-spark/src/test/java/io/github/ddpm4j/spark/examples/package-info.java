/** A page each; docs/spark.md has their commands. */
package io.github.ddpm4j.spark.examples;
