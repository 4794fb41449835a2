package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the caller says, and what was assumed because nobody said it. */
final class Given {

  private final Pretrained.Options options;
  private final List<String> assumed = new ArrayList<>();

  Given(Pretrained.Options options) {
    this.options = options;
  }

  Pretrained.Options options() {
    return options;
  }

  List<String> assumed() {
    return assumed;
  }

  /** Whether anything was set that is about the model itself. */
  boolean isAnythingSaid() {
    return options.image != null
        || options.heads + options.headChannels + options.groups > 0
        || options.newAttentionOrder
        || options.nullClass
        || options.rescaledTimesteps != null
        || options.dropout > 0
        || options.architecture != null
        || options.schedule != null
        || options.prediction != null
        || options.variance != null
        || options.range != null
        || options.raw
        || options.configuration != null
        || options.prefix != null;
  }

  /** Notes what nobody said. */
  void assume(String what) {
    if (!assumed.contains(what)) {
      assumed.add(what);
    }
  }

  /** The shape of an image, which weights do not tell. */
  int[] image(String where) throws IOException {
    int[] image = options.image;
    if (image == null || image.length != 3) {
      throw new IOException(
          where
              + " does not say how large images are: call options().image(channels, height, width)");
    }
    return image;
  }

  /** Whether the caller said the shape of a signal. */
  boolean isOfSignals() {
    return options.image != null && options.image.length == 2;
  }

  /** The shape of a signal, which weights do not tell either. */
  int[] signal(String where) throws IOException {
    int[] signal = options.image;
    if (signal == null || signal.length != 2) {
      throw new IOException(
          where + " does not say how long signals are: call options().signal(channels, length)");
    }
    return signal;
  }

  /** A builder for images or signals of a shape. */
  static UNetBuilder builder(int[] shape) {
    return shape.length == 2
        ? UNet.builder().signal(shape[0], shape[1])
        : UNet.builder().image(shape[0], shape[1], shape[2]);
  }

  /** A builder with the caller's groups, or those of a library's code. */
  UNetBuilder builder(int[] image, int groups, double epsilon) {
    return builder(image)
        .normEpsilon(epsilon)
        .groups(options.groups > 0 ? options.groups : groups)
        .dropout(options.dropout);
  }

  /**
   * The channels of the images that the network sees and of what it gives, beside those of the
   * image itself.
   */
  static void channels(UNetBuilder builder, int image, int in, int out, String where)
      throws IOException {
    if (in < image || (out != image && out != 2 * image)) {
      throw new IOException(
          where
              + " is of a network that sees "
              + in
              + " channels and gives "
              + out
              + ", which does not go with images of "
              + image
              + "; call options().image(channels, height, width) with others");
    }
    if (in > image) {
      builder.imageCondition(in - image);
    }
    if (out == 2 * image) {
      builder.learnedVariance();
    }
  }

  /** The heads that the caller gave; null if none. */
  @Nullable UNetBuilder heads(UNetBuilder builder) {
    if (options.heads > 0) {
      return builder.heads(options.heads);
    }
    return options.headChannels > 0 ? builder.headChannels(options.headChannels) : null;
  }
}
