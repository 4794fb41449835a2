package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;

/**
 * A tensor whose memory is pages of its file, which the system reads when they are used.
 *
 * @param array the values; of bfloat16, which DJL's arrays know not, nobody but programs may ask
 *     for type or values
 * @param type FLOAT32, FLOAT16 or BFLOAT16
 */
public record MappedTensor(NDArray array, DataType type) {}
