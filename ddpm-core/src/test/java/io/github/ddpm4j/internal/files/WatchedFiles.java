package io.github.ddpm4j.internal.files;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.ProviderMismatchException;
import java.nio.file.StandardOpenOption;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.StreamSupport;

/**
 * The files of the machine, watched: all that changes them is written into a journal, in order, and
 * may be made to fail. {@link #path} gives the path to hand to what is tested.
 */
public final class WatchedFiles {

  /** What changes files. */
  public enum Operation {
    MAKE_FOLDER,
    OPEN,
    WRITE,
    SYNC,
    MOVE,
    DELETE,
    /** Asks whether a file may be written, which changes nothing and is not in the journal. */
    MAY_WRITE,
    /** Locks a file, which changes nothing and is not in the journal. */
    LOCK,
    /** Opens a file to read it, which changes nothing and is not in the journal. */
    READ
  }

  /**
   * A change.
   *
   * @param operation what is done
   * @param file to which file or folder, a path of the machine
   * @param target where a file is moved to; otherwise the same as {@code file}
   * @param bytes what is written, where something is
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record Change(Operation operation, Path file, Path target, byte[] bytes) {

    @Override
    public String toString() {
      return operation + " " + file + (file.equals(target) ? "" : " to " + target);
    }
  }

  /** Asked before each change. */
  @FunctionalInterface
  public interface Fault {

    /**
     * Lets a change pass, or not.
     *
     * @param change the change
     * @throws IOException to make it fail
     */
    void before(Change change) throws IOException;
  }

  private final List<Change> journal = new ArrayList<>();
  private final Fault fault;
  private final Watching provider = new Watching();
  private final WatchedSystem system = new WatchedSystem();
  private final FileSystem real;

  /**
   * Watches files.
   *
   * @param real a path of the file system that is watched
   * @param fault asked before each change
   */
  public WatchedFiles(Path real, Fault fault) {
    this.real = real.getFileSystem();
    this.fault = fault;
  }

  /**
   * A path that is watched.
   *
   * @param file a path of the machine
   * @return the same file, seen through the watched file system
   */
  public Path path(Path file) {
    return new Watched(file);
  }

  /**
   * What has changed so far.
   *
   * @return the changes that went well, in order
   */
  public List<Change> journal() {
    return List.copyOf(journal);
  }

  @FunctionalInterface
  private interface Action<T> {
    T run() throws IOException;
  }

  private <T> T change(Change change, Action<T> action) throws IOException {
    fault.before(change);
    T result = action.run();
    journal.add(change);
    return result;
  }

  private static Change of(Operation operation, Path file) {
    return new Change(operation, file, file, new byte[0]);
  }

  private static Path bare(Path path) {
    if (path instanceof Watched watched) {
      return watched.real;
    }
    throw new ProviderMismatchException(path + " is not watched");
  }

  private final class Watching extends FileSystemProvider {

    private FileSystemProvider real() {
      return real.provider();
    }

    @Override
    public String getScheme() {
      return "watched";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Path getPath(URI uri) {
      throw new UnsupportedOperationException();
    }

    @Override
    public SeekableByteChannel newByteChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      return newFileChannel(path, options, attributes);
    }

    @Override
    public FileChannel newFileChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      Path file = bare(path);
      Action<FileChannel> open = () -> real().newFileChannel(file, options, attributes);
      boolean writes =
          options.stream()
              .anyMatch(
                  option ->
                      option != StandardOpenOption.READ
                          && option != StandardOpenOption.WRITE
                          && option != StandardOpenOption.APPEND);
      if (options.contains(StandardOpenOption.READ)) {
        fault.before(of(Operation.READ, file));
      }
      return new Channel(file, writes ? change(of(Operation.OPEN, file), open) : open.run());
    }

    @Override
    public OutputStream newOutputStream(Path path, OpenOption... options) throws IOException {
      Set<OpenOption> all =
          options.length == 0
              ? Set.of(StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING)
              : Set.of(options);
      Set<OpenOption> writing = new HashSet<>(all);
      writing.add(StandardOpenOption.WRITE);
      return Channels.newOutputStream((WritableByteChannel) newFileChannel(path, writing));
    }

    @Override
    public InputStream newInputStream(Path path, OpenOption... options) throws IOException {
      return real().newInputStream(bare(path), options);
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(
        Path folder, DirectoryStream.Filter<? super Path> filter) throws IOException {
      DirectoryStream<Path> entries =
          real().newDirectoryStream(bare(folder), entry -> filter.accept(path(entry)));
      return new DirectoryStream<>() {
        @Override
        public Iterator<Path> iterator() {
          return StreamSupport.stream(entries.spliterator(), false)
              .map(WatchedFiles.this::path)
              .iterator();
        }

        @Override
        public void close() throws IOException {
          entries.close();
        }
      };
    }

    @Override
    public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
      change(
          of(Operation.MAKE_FOLDER, bare(folder)),
          () -> {
            real().createDirectory(bare(folder), attributes);
            return folder;
          });
    }

    @Override
    public void delete(Path path) throws IOException {
      change(
          of(Operation.DELETE, bare(path)),
          () -> {
            real().delete(bare(path));
            return path;
          });
    }

    @Override
    public void copy(Path source, Path target, CopyOption... options) {
      throw new UnsupportedOperationException("not watched yet");
    }

    @Override
    public void move(Path source, Path target, CopyOption... options) throws IOException {
      change(
          new Change(Operation.MOVE, bare(source), bare(target), new byte[0]),
          () -> {
            real().move(bare(source), bare(target), options);
            return target;
          });
    }

    @Override
    public boolean isSameFile(Path one, Path other) throws IOException {
      return real().isSameFile(bare(one), bare(other));
    }

    @Override
    public boolean isHidden(Path path) throws IOException {
      return real().isHidden(bare(path));
    }

    @Override
    public FileStore getFileStore(Path path) throws IOException {
      return real().getFileStore(bare(path));
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
      if (List.of(modes).contains(AccessMode.WRITE)) {
        fault.before(of(Operation.MAY_WRITE, bare(path)));
      }
      real().checkAccess(bare(path), modes);
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(
        Path path, Class<V> type, LinkOption... options) {
      return real().getFileAttributeView(bare(path), type, options);
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(
        Path path, Class<A> type, LinkOption... options) throws IOException {
      return real().readAttributes(bare(path), type, options);
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String names, LinkOption... options)
        throws IOException {
      return real().readAttributes(bare(path), names, options);
    }

    @Override
    public void setAttribute(Path path, String name, Object value, LinkOption... options)
        throws IOException {
      real().setAttribute(bare(path), name, value, options);
    }
  }

  private final class WatchedSystem extends FileSystem {

    @Override
    public FileSystemProvider provider() {
      return provider;
    }

    @Override
    public void close() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public boolean isReadOnly() {
      return false;
    }

    @Override
    public String getSeparator() {
      return real.getSeparator();
    }

    @Override
    public Iterable<Path> getRootDirectories() {
      return () ->
          StreamSupport.stream(real.getRootDirectories().spliterator(), false)
              .map(WatchedFiles.this::path)
              .iterator();
    }

    @Override
    public Iterable<FileStore> getFileStores() {
      return real.getFileStores();
    }

    @Override
    public Set<String> supportedFileAttributeViews() {
      return real.supportedFileAttributeViews();
    }

    @Override
    public Path getPath(String first, String... more) {
      return path(real.getPath(first, more));
    }

    @Override
    public PathMatcher getPathMatcher(String pattern) {
      PathMatcher matcher = real.getPathMatcher(pattern);
      return path -> matcher.matches(bare(path));
    }

    @Override
    public UserPrincipalLookupService getUserPrincipalLookupService() {
      return real.getUserPrincipalLookupService();
    }

    @Override
    public WatchService newWatchService() {
      throw new UnsupportedOperationException();
    }
  }

  private final class Watched implements Path {

    private final Path real;

    Watched(Path real) {
      this.real = real;
    }

    private Path wrap(Path path) {
      return path == null ? null : new Watched(path);
    }

    private Path bareOf(Path path) {
      return path instanceof Watched watched ? watched.real : path;
    }

    @Override
    public FileSystem getFileSystem() {
      return system;
    }

    @Override
    public boolean isAbsolute() {
      return real.isAbsolute();
    }

    @Override
    public Path getRoot() {
      return wrap(real.getRoot());
    }

    @Override
    public Path getFileName() {
      return wrap(real.getFileName());
    }

    @Override
    public Path getParent() {
      return wrap(real.getParent());
    }

    @Override
    public int getNameCount() {
      return real.getNameCount();
    }

    @Override
    public Path getName(int index) {
      return wrap(real.getName(index));
    }

    @Override
    public Path subpath(int from, int to) {
      return wrap(real.subpath(from, to));
    }

    @Override
    public boolean startsWith(Path other) {
      return real.startsWith(bareOf(other));
    }

    @Override
    public boolean endsWith(Path other) {
      return real.endsWith(bareOf(other));
    }

    @Override
    public Path normalize() {
      return wrap(real.normalize());
    }

    @Override
    public Path resolve(Path other) {
      return wrap(real.resolve(bareOf(other)));
    }

    @Override
    public Path relativize(Path other) {
      return wrap(real.relativize(bareOf(other)));
    }

    @Override
    public URI toUri() {
      return real.toUri();
    }

    @Override
    public Path toAbsolutePath() {
      return wrap(real.toAbsolutePath());
    }

    @Override
    public Path toRealPath(LinkOption... options) throws IOException {
      return wrap(real.toRealPath(options));
    }

    @Override
    public File toFile() {
      throw new UnsupportedOperationException("a file of java.io is not watched");
    }

    @Override
    public WatchKey register(
        WatchService service, WatchEvent.Kind<?>[] events, WatchEvent.Modifier... modifiers) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int compareTo(Path other) {
      return real.compareTo(bareOf(other));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Watched watched && real.equals(watched.real);
    }

    @Override
    public int hashCode() {
      return Objects.hash(real);
    }

    @Override
    public String toString() {
      return real.toString();
    }
  }

  private final class Channel extends FileChannel {

    private final Path file;
    private final FileChannel real;

    Channel(Path file, FileChannel real) {
      this.file = file;
      this.real = real;
    }

    private int writing(ByteBuffer source, Action<Integer> action) throws IOException {
      byte[] bytes = new byte[source.remaining()];
      source.duplicate().get(bytes);
      return change(new Change(Operation.WRITE, file, file, bytes), action);
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      return writing(source, () -> real.write(source));
    }

    @Override
    public int write(ByteBuffer source, long position) throws IOException {
      return writing(source, () -> real.write(source, position));
    }

    @Override
    public long write(ByteBuffer[] sources, int offset, int length) throws IOException {
      long written = 0;
      for (ByteBuffer source : List.of(sources).subList(offset, offset + length)) {
        written += write(source);
      }
      return written;
    }

    @Override
    public void force(boolean metadata) throws IOException {
      // The machine itself keeps its power, and forcing takes most of the time of small files.
      change(of(Operation.SYNC, file), () -> file);
    }

    @Override
    public int read(ByteBuffer target) throws IOException {
      return real.read(target);
    }

    @Override
    public int read(ByteBuffer target, long position) throws IOException {
      return real.read(target, position);
    }

    @Override
    public long read(ByteBuffer[] targets, int offset, int length) throws IOException {
      return real.read(targets, offset, length);
    }

    @Override
    public long position() throws IOException {
      return real.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      real.position(position);
      return this;
    }

    @Override
    public long size() throws IOException {
      return real.size();
    }

    @Override
    public FileChannel truncate(long size) {
      throw new UnsupportedOperationException("not watched yet");
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target)
        throws IOException {
      return real.transferTo(position, count, target);
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long position, long count) {
      throw new UnsupportedOperationException("not watched yet");
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) {
      throw new UnsupportedOperationException("not watched yet");
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) throws IOException {
      return real.lock(position, size, shared);
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) throws IOException {
      fault.before(of(Operation.LOCK, file));
      return real.tryLock(position, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      real.close();
    }
  }
}
