/** Datasets for training and evaluation: the bundled digits, IDX files, and folders of pictures. */
@NullMarked
package io.github.ddpm4j.data;

import org.jspecify.annotations.NullMarked;
