package io.github.ddpm4j.serving;

import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.ImageFactory;
import ai.djl.ndarray.NDList;
import ai.djl.translate.NoBatchifyTranslator;
import ai.djl.translate.TranslatorContext;
import io.github.ddpm4j.image.Pictures;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import javax.imageio.ImageIO;

/**
 * From a request to pictures.
 *
 * @param <O> what they are given as
 */
final class DrawingTranslator<O> implements NoBatchifyTranslator<Input, Object> {

  private static final String SEED = "seed";

  private final DrawingBlock block;
  private final DrawingRequest.Defaults defaults;
  private final Class<O> output;

  DrawingTranslator(DrawingBlock block, DrawingRequest.Defaults defaults, Class<O> output) {
    this.block = block;
    this.defaults = defaults;
    this.output = output;
  }

  @Override
  public NDList processInput(TranslatorContext context, Input input) {
    DrawingRequest request = DrawingRequest.of(input, defaults, block.classNames());
    context.setAttachment(SEED, request.seed());
    return new NDList(DrawingBlock.input(request, context.getNDManager()));
  }

  @Override
  public Object processOutput(TranslatorContext context, NDList images) throws IOException {
    if (output == NDList.class) {
      images.detach();
      return images;
    }
    Pictures pictures = Pictures.of(images.singletonOrThrow()).dataRange(block.dataRange());
    if (output == Image[].class) {
      return pictures.toImages().stream()
          .map(picture -> ImageFactory.getInstance().fromImage(picture))
          .toArray(Image[]::new);
    }
    Output answer = new Output();
    answer.addProperty("Content-Type", "image/png");
    answer.addProperty(SEED, String.valueOf(context.getAttachment(SEED)));
    answer.add(png(pictures.size() == 1 ? pictures.toImages().get(0) : pictures.toGrid()));
    return answer;
  }

  private static byte[] png(BufferedImage picture) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(picture, "png", bytes);
    return bytes.toByteArray();
  }
}
