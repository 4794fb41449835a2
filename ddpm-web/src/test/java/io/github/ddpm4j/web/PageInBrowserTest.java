package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.report.Chromium;
import io.github.ddpm4j.service.SamplingService;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The page in a real browser, over a real service. Its pictures are left in target/browser. */
@Tag("browser")
class PageInBrowserTest {

  private static final int PHONE = 375;

  @TempDir private static Path folder;

  private static final Semaphore calls = new Semaphore(Integer.MAX_VALUE / 2);
  private static Chromium browser;
  private static DDPM fashion;
  private static LatentModel tiny;
  private static SamplingService service;
  private static PageServer server;

  @BeforeAll
  static void open() throws Exception {
    Optional<Path> binary = Chromium.installed();
    assumeTrue(
        binary.isPresent(),
        "no Chromium on the PATH: the page is not seen in a browser (apt-get install chromium)");
    browser = new Chromium(binary.get(), folder.resolve("browser"));
    fashion = Models.fashion();
    tiny = LatentModel.load(Path.of("../ddpm-latent/src/test/resources/pipelines/sd1"));
    service =
        SamplingService.builder()
            .model("fashion", fashion)
            .model("portraits", TestModels.attributes())
            .model("noise", TestModels.plain())
            .model("slow", TestModels.classes(calls))
            .model("broken", TestModels.broken())
            .model("tiny", tiny.latent().ddpm())
            .mostImages(4)
            .build();
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    server = PageServer.start(service, Map.of("tiny", tiny), address);
  }

  @AfterAll
  static void close() throws Exception {
    if (browser != null) {
      browser.close();
      server.close();
      service.close();
      fashion.close();
      tiny.close();
    }
  }

  @BeforeEach
  void forget() throws Exception {
    open(1200, false);
    browser.value("sessionStorage.clear()");
    open(1200, false);
    browser.complaints.clear();
  }

  private static void open(int width, boolean dark) throws Exception {
    browser.open(server.address(), server.address(), width, 900, dark);
    waitFor("document.documentElement.dataset.ready || ''", "yes");
  }

  private static void waitFor(String expression, String value) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!browser.value(expression).equals(value)) {
      if (System.nanoTime() > end) {
        throw new AssertionError(
            expression
                + " was "
                + browser.value(expression)
                + " for too long; the page says: "
                + text("error"));
      }
      Thread.sleep(50);
    }
  }

  private static void set(String id, String value) throws Exception {
    browser.value(
        "(() => { const e = document.getElementById('"
            + id
            + "'); e.value = '"
            + value
            + "'; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change'));"
            + " return ''; })()");
  }

  private static void click(String id) throws Exception {
    browser.value("document.getElementById('" + id + "').click()");
  }

  private static String text(String id) throws Exception {
    return browser.value("document.getElementById('" + id + "').innerText.trim()");
  }

  private static boolean isDisabled(String id) throws Exception {
    return browser.value("String(document.getElementById('" + id + "').disabled)").equals("true");
  }

  private static boolean isHidden(String id) throws Exception {
    return browser.value("String(document.getElementById('" + id + "').hidden)").equals("true");
  }

  private static void draw(int count, String choice, int steps) throws Exception {
    set("count", Integer.toString(count));
    set("choice0", choice);
    set("steps", Integer.toString(steps));
    click("draw");
    waitFor("String(document.getElementById('draw').disabled)", "false");
  }

  private static String drawn() throws Exception {
    return browser.value("String(document.querySelectorAll('#pictures button').length)");
  }

  private static void fitsAndIsQuiet(String name) throws Exception {
    assertThat(
            browser.value(
                "String(document.documentElement.scrollWidth -"
                    + " document.documentElement.clientWidth)"))
        .as("pixels beyond the window")
        .isEqualTo("0");
    browser.picture(Files.createDirectories(Path.of("target", "browser")).resolve(name + ".png"));
    assertThat(browser.complaints).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"1200, false", "1200, true", "375, false", "375, true"})
  void page_lightAndDarkNarrowAndWide_fitsAndIsQuiet(int width, boolean dark) throws Exception {
    open(width, dark);
    String name = (width == PHONE ? "narrow" : "wide") + (dark ? "-dark" : "-light");
    fitsAndIsQuiet(name + "-first");
    draw(6, "Sneaker", 12);
    draw(1, "Ankle boot", 12);
    assertThat(drawn()).isEqualTo("7");
    fitsAndIsQuiet(name + "-drawn");
    click("fill");
    click("right");
    fitsAndIsQuiet(name + "-hole");
    String background = browser.value("getComputedStyle(document.body).backgroundColor");
    assertThat(background).isEqualTo(dark ? "rgb(20, 24, 30)" : "rgb(255, 255, 255)");
  }

  @Test
  void drawing_isShownStepByStep_andLookedBackOnByKeyboard() throws Exception {
    draw(1, "Bag", 10);
    assertThat(text("stage-title")).isEqualTo("Bag, by fashion");
    assertThat(text("spoken")).isEqualTo("Done: 1 picture of Bag, by fashion");
    assertThat(browser.value("document.getElementById('when').max")).isEqualTo("9");
    String last = browser.value("document.getElementById('live').src");

    browser.value("document.getElementById('when').focus()");
    browser.press("Home", 36);
    assertThat(browser.value("document.getElementById('live').alt"))
        .isEqualTo("Bag, by fashion, after step 1 of 10");
    assertThat(browser.value("document.getElementById('live').src")).isNotEqualTo(last);
    assertThat(browser.value("document.getElementById('when').getAttribute('aria-valuetext')"))
        .isEqualTo("after step 1 of 10");
    browser.press("End", 35);
    assertThat(browser.value("document.getElementById('live').src")).isEqualTo(last);
    assertThat(browser.complaints).isEmpty();
  }

  @Test
  void picture_isSavedWithItsProvenance_andStaysWhenThePageComesAnew() throws Exception {
    draw(2, "Trouser", 5);
    open(1200, false);
    assertThat(drawn()).isEqualTo("2");
    browser.value("document.querySelectorAll('#pictures button')[1].click()");
    assertThat(browser.value("document.getElementById('save').download"))
        .matches("fashion-Trouser-\\d+-1\\.png");
    assertThat(browser.value("document.getElementById('words').textContent"))
        .contains("classTrouser")
        .contains("samplerdpm++2m:5");
    String bytes =
        browser.value(
            "fetch(document.getElementById('save').href).then(a => a.arrayBuffer())"
                + ".then(b => [...new Uint8Array(b)].join())");
    byte[] png = new byte[bytes.split(",").length];
    for (int i = 0; i < png.length; i++) {
      png[i] = (byte) Integer.parseInt(bytes.split(",")[i]);
    }
    Path file = Files.write(folder.resolve("saved.png"), png);
    assertThat(Pictures.provenance(file)).containsEntry("class", "Trouser");
    assertThat(browser.complaints).isEmpty();
  }

  @Test
  void hole_paintedByMouseOrKeys_isFilledInAndTheRestStays() throws Exception {
    draw(1, "Coat", 5);
    click("fill");
    waitFor("String(document.activeElement.id)", "hole");
    String[] box =
        browser
            .value(
                "(() => { document.getElementById('hole').scrollIntoView(); const b ="
                    + " document.getElementById('hole').getBoundingClientRect(); return"
                    + " [b.left, b.top, b.width, b.height].join(); })()")
            .split(",");
    double left = Double.parseDouble(box[0]);
    double top = Double.parseDouble(box[1]);
    double side = Double.parseDouble(box[2]);
    set("brush", "5");
    browser.drag(left + side * 0.3, top + side * 0.5, left + side * 0.7, top + side * 0.5);
    browser.value("document.getElementById('hole').focus()");
    browser.press("ArrowUp", 38);
    browser.press("ArrowUp", 38);
    browser.press("ArrowUp", 38);
    browser.press("ArrowUp", 38);
    browser.press("ArrowUp", 38);
    browser.press("ArrowUp", 38);
    browser.press(" ", 32);
    assertThat(text("spoken")).isEqualTo("Row 9, column 15, hole");
    fitsAndIsQuiet("hole");

    click("go");
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(text("error")).isEmpty();
    assertThat(drawn()).isEqualTo("2");
    String kept =
        browser.value(
            """
            (async () => {
              const pixels = async one => {
                const image = new Image();
                image.src = one.querySelector('img').src;
                await image.decode();
                const canvas = new OffscreenCanvas(28, 28);
                const pen = canvas.getContext('2d');
                pen.drawImage(image, 0, 0);
                return pen.getImageData(0, 0, 28, 28).data;
              };
              const [after, before] = await Promise.all([...document.querySelectorAll('#pictures li')].map(pixels));
              let inside = 0, outside = 0;
              for (let y = 0; y < 28; y++) for (let x = 0; x < 28; x++) {
                if (after[4 * (y * 28 + x)] !== before[4 * (y * 28 + x)]) {
                  const hole = (y >= 12 && y <= 16 && x >= 6 && x <= 21) || (y >= 6 && y <= 10 && x >= 12 && x <= 16);
                  if (hole) inside++; else outside++;
                }
              }
              return [inside > 20, outside].join();
            })()\
            """);
    assertThat(kept).isEqualTo("true,0");
    fitsAndIsQuiet("filled");
  }

  @Test
  void choices_areThoseOfTheModel() throws Exception {
    set("model", "portraits");
    assertThat(browser.value("document.getElementById('what').innerText.replace(/\\s+/g, ' ')"))
        .contains("Hat", "any none red", "Glasses");
    set("choice0", "red");
    set("choice1", "dark");
    set("count", "2");
    click("draw");
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(text("stage-title")).isEqualTo("hat=red, glasses=dark, by portraits");
    fitsAndIsQuiet("attributes");
    set("model", "noise");
    assertThat(text("what")).isEmpty();
    assertThat(isHidden("guidance-field")).isTrue();
    click("draw");
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(text("stage-title")).isEqualTo("Anything, by noise");
    assertThat(text("error")).isEmpty();
  }

  @Test
  void text_isDrawnByAPipeline() throws Exception {
    set("model", "tiny");
    assertThat(isHidden("text-field")).isFalse();
    assertThat(browser.value("document.getElementById('guidance').value")).isEqualTo("7.5");
    assertThat(browser.value("String(document.getElementById('guidance').disabled)"))
        .isEqualTo("true");
    set("text", "a red dog");
    assertThat(browser.value("String(document.getElementById('guidance').disabled)"))
        .isEqualTo("false");
    set("count", "2");
    set("steps", "4");
    click("draw");
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(text("error")).isEmpty();
    assertThat(text("stage-title")).isEqualTo("a red dog, by tiny");
    assertThat(drawn()).isEqualTo("2");
    fitsAndIsQuiet("text");
    open(PHONE, true);
    set("model", "tiny");
    fitsAndIsQuiet("text-narrow-dark");
    set("model", "fashion");
    assertThat(isHidden("text-field")).isTrue();
    assertThat(browser.value("document.getElementById('guidance').value")).isEqualTo("2");
  }

  @Test
  void stop_endsTheDrawing_andSaysSo() throws Exception {
    set("steps", "100"); // few enough for the service to take it on a busy machine
    set("count", "4");
    click("draw");
    waitFor("String(document.getElementById('live').hidden)", "false");
    assertThat(browser.value("String(document.getElementById('stop').disabled)"))
        .isEqualTo("false");
    browser.value("document.querySelector('form details').open = true");
    fitsAndIsQuiet("drawing");
    assertThat(text("told")).endsWith(" of 100");
    click("stop");
    waitFor("document.getElementById('error').textContent", "Stopped.");
    fitsAndIsQuiet("stopped");
    assertThat(isHidden("stop")).isTrue();
    assertThat(drawn()).isEqualTo("0");
    assertThat(browser.complaints).isEmpty();
  }

  @Test
  void picture_thatTheServerForgot_leavesAlone() throws Exception {
    draw(3, "Bag", 3);
    assertThat(
            browser.value(
                """
                (() => {
                  const before = [...document.querySelectorAll('#pictures li')];
                  before[1].querySelector('img').dispatchEvent(new Event('error'));
                  const after = [...document.querySelectorAll('#pictures li')];
                  return [after.length, after[0] === before[0], after[1] === before[2],
                    JSON.parse(sessionStorage.getItem('pictures-out-of-noise')).map(one => one.picture)].join();
                })()\
                """))
        .isEqualTo("2,true,true,0,2");
    assertThat(browser.complaints).isEmpty();
  }

  private static PageServer another(int port) throws Exception {
    PageServer other = PageServer.start(service, port);
    browser.open(other.address(), other.address(), 1200, 900, false);
    waitFor("document.documentElement.dataset.ready || ''", "yes");
    return other;
  }

  private static int port(PageServer of) {
    return URI.create(of.address()).getPort();
  }

  /** Begins a drawing that waits in the midst, and waits for its first step. */
  private static void drawSlowly() throws Exception {
    calls.drainPermits();
    set("model", "slow");
    set("count", "1");
    set("steps", "5");
    click("draw");
    waitFor("document.getElementById('told').textContent", "Waiting for a turn");
    calls.release(2);
    waitFor("String(document.getElementById('live').hidden)", "false");
  }

  @AfterEach
  void goOn() {
    calls.release(1_000_000);
  }

  private static final String LOST = "The connection to the server is lost. Trying again …";

  @Test
  void server_thatIsGoneAndComesBack_isSaid() throws Exception {
    int port;
    try (PageServer other = another(0)) {
      port = port(other);
      drawSlowly();
    }
    waitFor("document.getElementById('error').textContent", LOST);
    assertThat(isHidden("stop")).isFalse();
    PageServer again = PageServer.start(service, port);
    try {
      waitFor(
          "document.getElementById('error').textContent",
          "There is no such drawing, or it was forgotten.");
      assertThat(isHidden("stop")).isTrue();
      assertThat(isDisabled("draw")).isFalse();
    } finally {
      again.close();
    }
  }

  @Test
  void server_thatIsGone_leavesThePageByStop() throws Exception {
    try (PageServer other = another(0)) {
      assertThat(other.address()).isNotEqualTo(server.address());
      drawSlowly();
    }
    waitFor("document.getElementById('error').textContent", LOST);
    click("stop");
    waitFor(
        "document.getElementById('error').textContent",
        "The server does not answer. Is it still running?");
    assertThat(isHidden("stop")).isTrue();
    assertThat(isDisabled("draw")).isFalse();
  }

  @Test
  void stream_thatIsRefused_isTriedAgain() throws Exception {
    List<Socket> open = new ArrayList<>();
    try {
      drawSlowly();
      String id =
          browser.value("JSON.parse(sessionStorage.getItem('pictures-out-of-noise-drawing')).id");
      String get = "GET /api/drawings/" + id + "/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
      // The page has one itself, of whose end the server hears with the next step.
      for (int i = 1; i < EventStream.MOST_OF_A_CLIENT; i++) {
        Socket socket = new Socket("localhost", port(server));
        open.add(socket);
        socket.getOutputStream().write(get.getBytes(StandardCharsets.ISO_8859_1));
        assertThat(socket.getInputStream().read()).isEqualTo('H');
      }
      open(1200, false);
      waitFor(
          "document.getElementById('error').textContent",
          "Too many drawings are watched at once; close some.");
      assertThat(isHidden("stop")).isFalse();
    } finally {
      for (Socket socket : open) {
        socket.close();
      }
      goOn();
    }
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(text("error")).isEmpty();
    assertThat(drawn()).isEqualTo("1");
  }

  @Test
  void reload_inTheMidst_followsTheDrawing() throws Exception {
    drawSlowly();
    open(1200, false);
    waitFor("String(document.getElementById('live').hidden)", "false");
    assertThat(isDisabled("draw")).isTrue();
    assertThat(isHidden("stop")).isFalse();
    assertThat(text("stage-title")).isEqualTo("Anything, by slow");
    goOn();
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(drawn()).isEqualTo("1");
    open(1200, false);
    assertThat(isDisabled("draw")).isFalse();
    assertThat(drawn()).isEqualTo("1");
    assertThat(browser.complaints).isEmpty();
  }

  /** When the server was restarted, say. */
  @Test
  void picture_thatIsGone_isSaid() throws Exception {
    int port;
    try (PageServer other = another(0)) {
      port = port(other);
      set("model", "noise");
      set("count", "1");
      click("draw");
      waitFor("String(document.getElementById('draw').disabled)", "false");
      assertThat(drawn()).isEqualTo("1");
    }
    try (PageServer again = PageServer.start(service, port)) {
      browser.complaints.clear();
      browser.ask("Network.setCacheDisabled", Map.of("cacheDisabled", true));
      click("fill");
      waitFor(
          "document.getElementById('error').textContent",
          "The server no longer has this picture, or does not answer.");
      assertThat(isHidden("editor")).isTrue();
      browser.value("document.getElementById('right').click()");
      browser.value("document.querySelector('#pictures button').click()");
      waitFor(
          "document.getElementById('error').textContent",
          "The server no longer has this picture, or does not answer.");
      waitFor("String(document.getElementById('actions').hidden)", "true");
      assertThat(again.address()).endsWith(":" + port + "/");
      assertThat(browser.complaints)
          .allMatch(complaint -> complaint.contains("404"), "the browser's own word of a 404");
    } finally {
      browser.ask("Network.setCacheDisabled", Map.of("cacheDisabled", false));
    }
  }

  @Test
  void storage_thatIsBlocked_isDoneWithout() throws Exception {
    String script =
        browser
            .ask(
                "Page.addScriptToEvaluateOnNewDocument",
                Map.of(
                    "source",
                    "Object.defineProperty(window, 'sessionStorage',"
                        + " {get() { throw new DOMException('blocked', 'SecurityError'); }})"))
            .get("identifier")
            .getAsString();
    try {
      browser.open(server.address(), server.address(), 1200, 900, false);
      waitFor("document.documentElement.dataset.ready || ''", "yes");
      draw(2, "Bag", 3);
      assertThat(drawn()).isEqualTo("2");
      assertThat(text("error")).isEmpty();
      assertThat(browser.complaints).isEmpty();
    } finally {
      browser.ask("Page.removeScriptToEvaluateOnNewDocument", Map.of("identifier", script));
    }
  }

  private static String focused() throws Exception {
    return browser.value("document.activeElement.id");
  }

  private static void focusAndClick(String id) throws Exception {
    browser.value("document.getElementById('" + id + "').focus()");
    click(id);
  }

  /** Whoever goes by keys stays where something can be done. */
  @Test
  void focus_isNeverLost() throws Exception {
    calls.drainPermits();
    set("model", "slow");
    set("count", "1");
    set("steps", "5");
    focusAndClick("draw");
    waitFor("String(document.getElementById('stop').hidden)", "false");
    assertThat(focused()).isEqualTo("stop");
    goOn();
    waitFor("String(document.getElementById('draw').disabled)", "false");
    assertThat(focused()).isEqualTo("draw");

    calls.drainPermits();
    focusAndClick("draw");
    waitFor("String(document.getElementById('stop').hidden)", "false");
    browser.value("window.first = document.querySelector('#pictures button'); first.focus()");
    goOn();
    waitFor("String(document.querySelectorAll('#pictures button').length)", "2");
    assertThat(browser.value("String(document.activeElement === first)")).isEqualTo("true");

    calls.drainPermits();
    click("fill");
    click("right");
    focusAndClick("go");
    waitFor("String(document.getElementById('editor').hidden)", "true");
    assertThat(focused()).isEqualTo("stop");
    goOn();
    waitFor("String(document.querySelectorAll('#pictures button').length)", "3");
    assertThat(focused()).isEqualTo("fill");
  }

  /** Before the server has said a word, too. */
  @Test
  void stop_atOnce_endsTheDrawing() throws Exception {
    calls.drainPermits();
    set("model", "slow");
    browser.value(
        "document.getElementById('draw').click(); document.getElementById('stop').click()");
    assertThat(text("told")).isEqualTo("Stopping …");
    waitFor(
        "String(performance.getEntriesByType('resource').some(e =>"
            + " /drawings.[0-9a-f]{32}$/.test(e.name)))",
        "true"); // the server has heard of it
    goOn();
    waitFor("document.getElementById('error').textContent", "Stopped.");
    assertThat(isDisabled("draw")).isFalse();
    assertThat(drawn()).isEqualTo("0");
  }

  /** Of 512x512, such as those of Stable Diffusion. */
  @Test
  void editor_ofALargePicture_isOfModestSize() throws Exception {
    assertThat(
            browser.value(
                """
                (async () => {
                  const { Hole } = await import('/fill.js');
                  const canvas = document.createElement('canvas');
                  document.body.append(canvas);
                  const told = [];
                  const hole = new Hole(canvas, text => told.push(text), () => {});
                  const picture = document.createElement('canvas');
                  picture.width = picture.height = 512;
                  hole.open(picture.toDataURL(), 512, 512);
                  const width = canvas.width;
                  hole.brush = 3;
                  hole.paint({ x: 256, y: 256 }, true);
                  const painted = hole.cells.reduce((a, b) => a + b);
                  let rects = 0;
                  const pen = canvas.getContext('2d');
                  const fill = pen.fillRect.bind(pen);
                  pen.fillRect = (...box) => { rects++; fill(...box); };
                  hole.half(true);
                  canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
                  canvas.remove();
                  return [width, painted, rects < 2000, told.at(-1)].join();
                })()\
                """))
        .isEqualTo("1024,576,true,Row 257, column 265, hole");
  }

  @Test
  void painting_isOfThePrimaryButton_andTheCursorStays() throws Exception {
    draw(1, "Coat", 3);
    click("fill");
    waitFor("String(document.activeElement.id)", "hole");
    browser.press("ArrowLeft", 37);
    browser.press("ArrowUp", 38);
    browser.value("document.getElementById('brush').focus()");
    browser.value("document.getElementById('hole').focus()");
    browser.press("ArrowUp", 38);
    assertThat(text("spoken")).isEqualTo("Row 13, column 14, kept");
    browser.value(
        """
        (() => {
          const hole = document.getElementById('hole');
          const at = { clientX: 0, clientY: 0, isPrimary: true, pointerId: 1, bubbles: true };
          hole.dispatchEvent(new PointerEvent('pointerdown', { ...at, button: 2, buttons: 2 }));
          hole.dispatchEvent(new PointerEvent('pointermove', { ...at, buttons: 2 }));
        })()\
        """);
    click("go");
    assertThat(text("error")).isEqualTo("Paint a hole first: that is the part that is drawn anew.");
    assertThat(browser.complaints).isEmpty();
  }

  /** Of the picture's model, whatever the form has now. */
  @Test
  void fill_ofAnotherModel_takesItsStepsAndGuidance() throws Exception {
    set("model", "portraits");
    set("choice0", "red");
    set("count", "1");
    set("steps", "5");
    click("draw");
    waitFor("String(document.getElementById('draw').disabled)", "false");
    set("model", "fashion");
    set("guidance", "8");
    set("steps", "250");
    click("fill");
    click("right");
    click("go");
    waitFor("String(document.querySelectorAll('#pictures button').length)", "2");
    assertThat(text("error")).isEmpty();
    assertThat(browser.value("document.getElementById('words').textContent"))
        .contains("samplerdpm++2m:99")
        .contains("classifierFree(2.0)");
  }

  @Test
  void seed_thatIsWrongAndOutOfSight_isShown() throws Exception {
    click("fresh");
    set("seed", "");
    click("draw");
    assertThat(browser.value("String(document.querySelector('form details').open)"))
        .isEqualTo("true");
    assertThat(browser.value("document.activeElement.id")).isEqualTo("seed");
    assertThat(drawn()).isEqualTo("0");
  }

  /** WCAG 2.1, 1.4.11 and 2.5.3. */
  @Test
  void fields_haveEdges_andNamesHaveWhatIsSeen() throws Exception {
    for (boolean dark : new boolean[] {false, true}) {
      open(1200, dark);
      assertThat(
              browser.value(
                  """
                  (() => {
                    const light = text => {
                      const [r, g, b] = text.match(/\\d+/g).map(v => v / 255)
                        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                    };
                    const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                    const edge = id => light(getComputedStyle(document.getElementById(id)).borderTopColor);
                    const ground = id => light(getComputedStyle(document.getElementById(id)).backgroundColor);
                    return ['model', 'count', 'seed', 'text', 'sampler'].filter(id =>
                      contrast(edge(id), ground(id)) < 3 || contrast(edge(id), ground('form')) < 3).join();
                  })()\
                  """))
          .as("fields without an edge, dark: %s", dark)
          .isEmpty();
    }
    set("model", "noise");
    set("count", "2");
    click("draw");
    waitFor("String(document.querySelectorAll('#pictures button').length)", "2");
    String tree = browser.ask("Accessibility.getFullAXTree", Map.of()).toString();
    assertThat(tree).contains("\"value\":\"Anything, by noise (seed ").contains(", picture 2)\"");
    assertThat(
            browser.value(
                "[...document.querySelectorAll('.field output')].every(o =>"
                    + " o.getAttribute('aria-live') === 'off') + ''"))
        .isEqualTo("true");
  }

  @Test
  void failure_beforeTheFirstStep_isSaid() throws Exception {
    set("model", "broken");
    click("draw");
    waitFor(
        "document.getElementById('error').textContent",
        "It failed; the log of the server says why.");
    assertThat(text("empty")).isEqualTo("Nothing was drawn.");
    assertThat(isDisabled("draw")).isFalse();
  }

  /** What a screen reader is told: of the browser itself. */
  @Test
  void page_hasNamesForAllThatIsShown() throws Exception {
    draw(1, "Shirt", 3);
    click("fill");
    String tree = browser.ask("Accessibility.getFullAXTree", Map.of()).toString();
    for (String name :
        List.of(
            "Model",
            "What",
            "Pictures",
            "Steps",
            "Guidance",
            "Draw",
            "Look back",
            "Save as PNG",
            "Fill a part in anew",
            "Picture to paint a hole into",
            "Brush",
            "Right half",
            "Gallery",
            "What to draw")) {
      assertThat(tree).contains("\"value\":\"" + name + "\"");
    }
    assertThat(
            browser.value(
                "[...document.querySelectorAll('button, a, input, select, textarea')].filter(e =>"
                    + " e.offsetParent && !e.labels?.length && !e.innerText.trim() &&"
                    + " !e.ariaLabel).map(e => e.id).join()"))
        .isEmpty();
  }
}
