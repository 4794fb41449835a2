package io.github.ddpm4j.internal.hub;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file of a model as the hub announces it, and how its bytes come into the cache: beside their
 * place first, where an attempt that breaks leaves them for the next one, then moved at once when
 * they are all there and have the size and the digest that the hub says.
 *
 * @param name its name in the model
 * @param address where it is
 * @param etag what its blob is called: the SHA-256 of large files, anything for others
 * @param size how many bytes it has
 * @param mayResume whether bytes that came before may be gone on from
 * @param isLinked whether the etag is of the bytes, and not of the hub's answer
 */
record HubFile(
    String name, URI address, String etag, long size, boolean mayResume, boolean isLinked) {

  private static final Pattern ETAG = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final Pattern RANGE = Pattern.compile("bytes (\\d+)-\\d+/(\\d+|\\*)");
  private static final int PIECE_BYTES = 1 << 16;

  /** Not as Python calls it, which may be at the same file, with locks that Java does not see. */
  private static final String INCOMPLETE = ".ddpm4j.incomplete";

  /**
   * Asks the hub what a file is.
   *
   * @param http the hub
   * @param name its name in the model
   * @param address where it is
   */
  static HubFile of(HubHttp http, String name, URI address)
      throws IOException, InterruptedException {
    HubFile[] found = new HubFile[1];
    http.ask(
        () -> {
          try (HubHttp.Answer answer = http.once("HEAD", address, Map.of(), Map.of())) {
            http.requireGood(answer);
            found[0] = of(answer, name, address);
            return true;
          }
        });
    return found[0];
  }

  private static HubFile of(HubHttp.Answer answer, String name, URI address) throws IOException {
    String linked = answer.first("X-Linked-Etag").orElse("");
    String told = linked.isEmpty() ? answer.headers().firstValue("ETag").orElse("") : linked;
    boolean weak = told.startsWith("W/");
    String etag = (weak ? told.substring(2) : told).replace("\"", "");
    OptionalLong size = HubHttp.number(answer.first("X-Linked-Size"));
    if (size.isEmpty() && answer.status() == 200) {
      size = answer.length();
    }
    if (!ETAG.matcher(etag).matches() || size.isEmpty() || size.getAsLong() < 0) {
      throw new IOException(
          HubHttp.name(address)
              + " must be announced with its size and an etag that can be the name of a file, but"
              + " has the size "
              + (size.isEmpty() ? "unknown" : size.getAsLong())
              + " and the etag "
              + Quote.of(etag)
              + "; check HF_ENDPOINT");
    }
    boolean isLinked = !linked.isEmpty();
    return new HubFile(name, address, etag, size.getAsLong(), isLinked || !weak, isLinked);
  }

  /** Its place in the cache. */
  Path blob(Path blobs) {
    return blobs.resolve(etag);
  }

  private Path incomplete(Path blobs) {
    return blobs.resolve(etag + INCOMPLETE);
  }

  /** Whether all of its bytes are there. */
  boolean isWhole(Path place) throws IOException {
    return Files.isRegularFile(place) && Files.size(place) == size;
  }

  /** How many bytes are to come. */
  long missing(Path blobs) throws IOException {
    return isWhole(blob(blobs)) ? 0 : size - Math.min(size, arrived(incomplete(blobs)));
  }

  private static long arrived(Path incomplete) throws IOException {
    return Files.exists(incomplete) ? Files.size(incomplete) : 0;
  }

  /**
   * Brings it into the cache.
   *
   * @param http the hub
   * @param blobs the folder for it, which nobody else writes to
   * @param progress hears how far it is
   */
  void download(HubHttp http, Path blobs, Hub.Progress progress)
      throws IOException, InterruptedException {
    Path incomplete = incomplete(blobs);
    if (!mayResume || arrived(incomplete) > size) {
      Files.deleteIfExists(incomplete);
    }
    boolean resumed = arrived(incomplete) > 0;
    receive(http, incomplete, progress);
    String wrong = wrong(incomplete);
    if (!wrong.isEmpty() && resumed) {
      // What was there may have been the beginning of something else.
      Files.delete(incomplete);
      receive(http, incomplete, progress);
      wrong = wrong(incomplete);
    }
    if (!wrong.isEmpty()) {
      Files.delete(incomplete);
      throw new IOException(
          HubHttp.name(address)
              + " is damaged: the SHA-256 of its bytes is "
              + wrong
              + ", but the hub says "
              + etag
              + "; nothing of it is kept, download it again or from another HF_ENDPOINT");
    }
    Files.move(incomplete, blob(blobs), StandardCopyOption.ATOMIC_MOVE);
  }

  /** The digest of a file that should have another one; empty if it is right or not known. */
  private String wrong(Path file) throws IOException {
    if (!SHA256.matcher(etag).matches()) {
      return "";
    }
    MessageDigest digest = WholeFile.sha256();
    byte[] piece = new byte[PIECE_BYTES];
    try (InputStream in = Files.newInputStream(file)) {
      for (int count = in.read(piece); count >= 0; count = in.read(piece)) {
        digest.update(piece, 0, count);
      }
    }
    String found = HexFormat.of().formatHex(digest.digest());
    return found.equals(etag) ? "" : found;
  }

  private void receive(HubHttp http, Path incomplete, Hub.Progress progress)
      throws IOException, InterruptedException {
    // Of the stream alone an interrupt closes nothing, so that what has come is there.
    try (FileOutputStream out = new FileOutputStream(incomplete.toFile(), true)) {
      progress.at(name, arrived(incomplete), size);
      if (arrived(incomplete) < size) {
        http.ask(() -> isReceived(http, out, incomplete, progress));
      }
      out.getFD().sync();
    }
  }

  private boolean isReceived(
      HubHttp http, FileOutputStream out, Path incomplete, Hub.Progress progress)
      throws IOException, InterruptedException {
    long before = mayResume ? arrived(incomplete) : 0;
    Map<String, String> range = before == 0 ? Map.of() : Map.of("Range", "bytes=" + before + "-");
    // The etag of large files is not that of the answer; their digest tells what they are.
    Map<String, String> condition =
        before == 0 || isLinked ? Map.of() : Map.of("If-Range", "\"" + etag + "\"");
    try (HubHttp.Answer answer = http.once("GET", address, range, condition)) {
      if (answer.status() == 416 || (answer.status() == 206 && !isFrom(answer, before))) {
        empty(incomplete);
        throw new HubHttp.Passing(
            HubHttp.name(address) + " did not go on at byte " + before, null, null);
      }
      http.requireGood(answer);
      long at = before;
      if (answer.status() == 200) {
        requireSize(answer);
        empty(incomplete);
        at = 0;
      }
      return isReceived(http, answer, out, incomplete, at, before, progress);
    }
  }

  /** Lets what is written start anew; a channel would fail on an interrupted thread. */
  private static void empty(Path incomplete) throws IOException {
    new FileOutputStream(incomplete.toFile()).close();
  }

  private boolean isFrom(HubHttp.Answer answer, long first) {
    Matcher range = RANGE.matcher(answer.headers().firstValue("Content-Range").orElse(""));
    return range.matches()
        && range.group(1).equals(Long.toString(first))
        && (range.group(2).equals("*") || range.group(2).equals(Long.toString(size)));
  }

  private void requireSize(HubHttp.Answer answer) throws IOException {
    OptionalLong length = answer.length();
    if (length.isPresent() && length.getAsLong() != size) {
      throw wrongSize(Long.toString(length.getAsLong()));
    }
  }

  private IOException wrongSize(String sent) {
    return new IOException(
        HubHttp.name(address)
            + " must have "
            + size
            + " bytes, as the hub says, but "
            + sent
            + " are sent; download it again or from another HF_ENDPOINT");
  }

  /** Whether all came; if not, but more than before, it is asked for the rest at once. */
  private boolean isReceived(
      HubHttp http,
      HubHttp.Answer answer,
      FileOutputStream out,
      Path incomplete,
      long first,
      long before,
      Hub.Progress progress)
      throws IOException, InterruptedException {
    long at = first;
    try {
      for (List<ByteBuffer> piece = http.next(answer, address);
          piece != null;
          piece = http.next(answer, address)) {
        for (ByteBuffer part : piece) {
          at += part.remaining();
          if (at > size) {
            empty(incomplete);
            throw wrongSize("more");
          }
          byte[] bytes = new byte[part.remaining()];
          part.get(bytes);
          out.write(bytes);
        }
        progress.at(name, at, size);
      }
    } catch (HubHttp.Passing e) {
      if (at <= before || !mayResume) {
        throw e;
      }
      return false;
    }
    if (at < size && (at <= before || !mayResume)) {
      throw new HubHttp.Passing(
          HubHttp.name(address) + " ended after " + at + " of " + size + " bytes", null, null);
    }
    return at == size;
  }
}
