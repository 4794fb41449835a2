package io.github.ddpm4j.image;

import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.picture.PictureFiles;
import io.github.ddpm4j.internal.picture.Pixels;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Pictures one after the other, as an animated GIF that begins again at its end. */
final class Animation {

  private static final int MILLIS_PER_TICK = 10;
  private static final String FORMAT = "javax_imageio_gif_image_1.0";

  /** The block that browsers take for "without end": sub-block 1, no count. */
  private static final byte[] FOREVER = {1, 0, 0};

  private Animation() {}

  static void write(List<BufferedImage> frames, int millisPerFrame, Path file) throws IOException {
    List<BufferedImage> plain = frames.stream().map(Animation::plain).toList();
    PictureFiles.requireSuffix("GIF", file);
    WholeFile.write(file, out -> write(plain, millisPerFrame, out));
  }

  /** The JDK's writer brightens what is grey in another way than that of 8 bits. */
  private static BufferedImage plain(BufferedImage frame) {
    int type = frame.getType();
    return type == BufferedImage.TYPE_CUSTOM || type == BufferedImage.TYPE_USHORT_GRAY
        ? Pixels.of(frame).toPicture(frame.getWidth(), frame.getHeight())
        : frame;
  }

  private static void write(List<BufferedImage> frames, int millisPerFrame, OutputStream out)
      throws IOException {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("gif").next();
    try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
      writer.setOutput(stream);
      writer.prepareWriteSequence(null);
      for (int i = 0; i < frames.size(); i++) {
        IIOMetadata metadata = metadata(writer, frames.get(i), millisPerFrame, i == 0);
        writer.writeToSequence(new IIOImage(frames.get(i), null, metadata), null);
      }
      writer.endWriteSequence();
    } finally {
      writer.dispose();
    }
  }

  private static IIOMetadata metadata(
      ImageWriter writer, BufferedImage frame, int millisPerFrame, boolean first)
      throws IOException {
    IIOMetadata metadata =
        writer.getDefaultImageMetadata(ImageTypeSpecifier.createFromRenderedImage(frame), null);
    IIOMetadataNode root = new IIOMetadataNode(FORMAT);
    IIOMetadataNode control = new IIOMetadataNode("GraphicControlExtension");
    control.setAttribute("disposalMethod", "none");
    control.setAttribute("userInputFlag", "FALSE");
    control.setAttribute("transparentColorFlag", "FALSE");
    control.setAttribute("transparentColorIndex", "0");
    control.setAttribute("delayTime", Integer.toString(millisPerFrame / MILLIS_PER_TICK));
    root.appendChild(control);
    if (first) {
      IIOMetadataNode loop = new IIOMetadataNode("ApplicationExtension");
      loop.setAttribute("applicationID", "NETSCAPE");
      loop.setAttribute("authenticationCode", "2.0");
      loop.setUserObject(FOREVER);
      IIOMetadataNode extensions = new IIOMetadataNode("ApplicationExtensions");
      extensions.appendChild(loop);
      root.appendChild(extensions);
    }
    metadata.mergeTree(FORMAT, root);
    return metadata;
  }
}
