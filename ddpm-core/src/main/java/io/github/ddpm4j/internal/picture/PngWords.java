package io.github.ddpm4j.internal.picture;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import com.google.gson.reflect.TypeToken;
import java.awt.image.RenderedImage;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.ImageOutputStream;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** Words in a PNG file: an iTXt chunk (PNG 1.2, section 4.2.3.3) with an object of JSON. */
final class PngWords {

  private static final String KEYWORD = "ddpm4j";
  private static final String FORMAT = "javax_imageio_png_1.0";
  private static final Gson gson = new GsonBuilder().disableHtmlEscaping().create();

  private PngWords() {}

  /** Writes a picture; false if nothing here can write it. */
  static boolean write(RenderedImage picture, Map<String, String> words, ImageOutputStream out)
      throws IOException {
    var writers = ImageIO.getImageWriters(new ImageTypeSpecifier(picture), "png");
    if (!writers.hasNext()) {
      return false;
    }
    ImageWriter writer = writers.next();
    try {
      writer.setOutput(out);
      IIOMetadata metadata =
          writer.getDefaultImageMetadata(
              new ImageTypeSpecifier(picture), writer.getDefaultWriteParam());
      if (!words.isEmpty()) {
        metadata.mergeTree(FORMAT, tree(gson.toJson(words)));
      }
      writer.write(new IIOImage(picture, null, metadata));
      out.flush();
      return true;
    } finally {
      writer.dispose();
    }
  }

  private static IIOMetadataNode tree(String text) {
    IIOMetadataNode entry = new IIOMetadataNode("iTXtEntry");
    entry.setAttribute("keyword", KEYWORD);
    entry.setAttribute("compressionFlag", "FALSE");
    entry.setAttribute("compressionMethod", "0");
    entry.setAttribute("languageTag", "");
    entry.setAttribute("translatedKeyword", "");
    entry.setAttribute("text", text);
    IIOMetadataNode chunk = new IIOMetadataNode("iTXt");
    chunk.appendChild(entry);
    IIOMetadataNode root = new IIOMetadataNode(FORMAT);
    root.appendChild(chunk);
    return root;
  }

  /** The words of a file; empty if it has none. */
  static Map<String, String> read(ImageInputStream in) throws IOException {
    var readers = ImageIO.getImageReadersByFormatName("png");
    ImageReader reader = readers.next();
    try {
      reader.setInput(in, true, false);
      Element root = (Element) reader.getImageMetadata(0).getAsTree(FORMAT);
      NodeList entries = root.getElementsByTagName("iTXtEntry");
      for (int i = 0; i < entries.getLength(); i++) {
        Element entry = (Element) entries.item(i);
        if (entry.getAttribute("keyword").equals(KEYWORD)) {
          Map<String, String> words =
              gson.fromJson(
                  entry.getAttribute("text"), new TypeToken<LinkedHashMap<String, String>>() {});
          return words == null ? Map.of() : Collections.unmodifiableMap(words);
        }
      }
      return Map.of();
    } catch (JsonParseException e) {
      throw new IOException("its " + KEYWORD + " text is no object of texts in JSON", e);
    } finally {
      reader.dispose();
    }
  }
}
